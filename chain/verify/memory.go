package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"dens/chain"
)

// Bounds of what is remembered from earlier calls.
const (
	maxRemembered      = 4096    // messages
	maxRememberedBytes = 8 << 20 // of what they read, about
	maxCodeHashes      = 8192
	maxRare            = 4 // precompiled contracts that few use
)

// access is a piece of state that a call reads: an account, and slots of its storage.
type access struct {
	address common.Address
	slots   []common.Hash
}

// remembered is what a message read, and at which block.
type remembered struct {
	block common.Hash
	reads []access
}

// size is about what it takes in memory.
func (r remembered) size() (n int) {
	for _, a := range r.reads {
		n += 64 + common.HashLength*len(a.slots)
	}
	return n + 256
}

// memory knows what calls read when they were executed last. It is a guess about the next time, no more.
type memory struct {
	mu    sync.Mutex
	reads *lru.LRU[common.Hash, remembered]
	held  int                                   // bytes of reads
	codes *lru.LRU[common.Address, common.Hash] // the code that a contract had last
	rare  *lru.LRU[common.Address, struct{}]    // precompiled contracts that calls used last, but for the common ones
}

// commonPrecompiles are the precompiled contracts that Solidity's own code uses: signatures, hashes, copies of memory.
var commonPrecompiles = []common.Address{{19: 1}, {19: 2}, {19: 4}}

func newMemory() *memory {
	m := &memory{}
	// The sizes are greater than zero: the only error there is.
	m.reads, _ = lru.NewLRU(maxRemembered, func(_ common.Hash, r remembered) { m.held -= r.size() })
	m.codes, _ = lru.NewLRU[common.Address, common.Hash](maxCodeHashes, nil)
	m.rare, _ = lru.NewLRU[common.Address, struct{}](maxRare, nil)
	return m
}

// key stands for a message: the same message mostly reads the same.
func key(m chain.Msg) common.Hash {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(m.Data)))
	return crypto.Keccak256Hash(m.To[:], length[:], m.Data)
}

// recall returns what a message read when it was executed last. Callers do not change it.
func (m *memory) recall(key common.Hash) ([]access, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.reads.Get(key)
	return r.reads, ok
}

// knows says whether what a message reads at a block is remembered.
func (m *memory) knows(key, block common.Hash) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.reads.Peek(key)
	return ok && r.block == block
}

// learn remembers what a message read at a block, if that is not too much.
func (m *memory) learn(key, block common.Hash, reads []access) {
	r := remembered{block, reads}
	slots := 0
	for _, a := range reads {
		slots += len(a.slots)
	}
	if len(reads) > maxAccounts || slots > maxSlots {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads.Remove(key)
	m.reads.Add(key, r)
	for m.held += r.size(); m.held > maxRememberedBytes; {
		m.reads.RemoveOldest()
	}
}

// used notes that a call used a precompiled contract.
func (m *memory) used(address common.Address) {
	if slices.Contains(commonPrecompiles, address) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rare.Add(address, struct{}{})
}

// precompiled returns the precompiled contracts that calls mostly use: access lists leave them out.
func (m *memory) precompiled() []common.Address {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append(m.rare.Keys(), commonPrecompiles...)
}

// codeOf returns the hash of the code that a contract had last; zero is unknown.
func (m *memory) codeOf(address common.Address) common.Hash {
	m.mu.Lock()
	defer m.mu.Unlock()
	hash, _ := m.codes.Get(address)
	return hash
}

func (m *memory) learnCode(address common.Address, hash common.Hash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes.Add(address, hash)
}

// export writes which contract had which code, the one that was used last at the end, for load.
func (m *memory) export() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out bytes.Buffer
	for _, address := range m.codes.Keys() {
		if hash, _ := m.codes.Peek(address); hash != types.EmptyCodeHash {
			fmt.Fprintf(&out, "%x %x\n", address[:], hash[:])
		}
	}
	return out.Bytes()
}

// load reads what export wrote. What does not look like it is passed over: it is a guess.
func (m *memory) load(data []byte) {
	for line := range bytes.Lines(data) {
		address, hash, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		a, h := common.FromHex(string(address)), common.FromHex(string(hash))
		if len(a) == common.AddressLength && len(h) == common.HashLength {
			m.learnCode(common.Address(a), common.Hash(h))
		}
	}
}

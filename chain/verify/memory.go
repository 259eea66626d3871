package verify

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"dens/chain"
)

// Bounds of what is remembered from earlier calls.
const (
	maxRemembered = 4096
	maxCodeHashes = 8192
)

// access is a piece of state that a call reads: an account, and slots of its storage.
type access struct {
	address common.Address
	slots   []common.Hash
}

// memory knows what calls read when they were executed last. It is a guess about the next time, no more.
type memory struct {
	mu          sync.Mutex
	reads       *lru.LRU[common.Hash, []access]
	codes       *lru.LRU[common.Address, common.Hash] // the code that a contract had last
	precompiles map[common.Address]bool               // those that calls use: access lists leave them out
}

func newMemory() *memory {
	// The sizes are greater than zero: the only error there is.
	reads, _ := lru.NewLRU[common.Hash, []access](maxRemembered, nil)
	codes, _ := lru.NewLRU[common.Address, common.Hash](maxCodeHashes, nil)
	// Solidity's own code uses these three: signatures, hashes, copies of memory.
	used := map[common.Address]bool{{19: 1}: true, {19: 2}: true, {19: 4}: true}
	return &memory{reads: reads, codes: codes, precompiles: used}
}

// key stands for a message: the same message mostly reads the same.
func key(m chain.Msg) common.Hash {
	length := binary.BigEndian.AppendUint64(nil, uint64(len(m.Data)))
	return crypto.Keccak256Hash(m.To[:], length, m.Data)
}

// recall returns what a message read when it was executed last. Callers do not change it.
func (m *memory) recall(msg chain.Msg) ([]access, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads.Get(key(msg))
}

// learn remembers what a message read, if that is not too much.
func (m *memory) learn(msg chain.Msg, read map[common.Address][]common.Hash, known vm.PrecompiledContracts) {
	slots := 0
	list := make([]access, 0, len(read))
	for address, s := range read {
		list = append(list, access{address, s})
		slots += len(s)
	}
	slices.SortFunc(list, func(a, b access) int { return a.address.Cmp(b.address) })
	m.mu.Lock()
	defer m.mu.Unlock()
	for address := range read {
		if _, ok := known[address]; ok {
			m.precompiles[address] = true
		}
	}
	if len(list) <= maxAccounts && slots <= maxSlots {
		m.reads.Add(key(msg), list)
	}
}

// used returns the precompiled contracts that calls have used.
func (m *memory) used() []common.Address {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Keys(m.precompiles), common.Address.Cmp)
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

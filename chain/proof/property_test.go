package proof

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

// forger makes lists of nodes out of honest ones by a script of random bytes: it is what a liar can do who
// knows the whole state.
type forger struct {
	pool     [][]byte
	accounts map[common.Address][][]byte // honest proofs
	slots    map[common.Hash][][]byte
}

func (f forger) forge(script []byte, honest [][]byte) [][]byte {
	nodes := slices.Clone(honest)
	next := func() int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b)
	}
	for steps := 0; len(script) > 0 && steps < 32; steps++ {
		op, at := next(), 0
		if len(nodes) > 0 {
			at = next() % len(nodes)
		} else {
			op = 0
		}
		switch op % 9 {
		case 0: // a node of another path
			nodes = slices.Insert(nodes, at, f.pool[(next()<<8|next())%len(f.pool)])
		case 1:
			nodes = slices.Delete(nodes, at, at+1)
		case 2:
			other := next() % len(nodes)
			nodes[at], nodes[other] = nodes[other], nodes[at]
		case 3: // alter a byte
			nodes[at] = bytes.Clone(nodes[at])
			if n := len(nodes[at]); n > 0 {
				nodes[at][(next()<<8|next())%n] ^= byte(next() | 1)
			}
		case 4: // truncate a node
			nodes[at] = nodes[at][:min(len(nodes[at]), next()<<2)]
		case 5: // lengthen it
			nodes[at] = append(bytes.Clone(nodes[at]), byte(next()))
		case 6: // truncate the path
			nodes = nodes[:at]
		case 7: // replace by one of the pool
			nodes[at] = f.pool[(next()<<8|next())%len(f.pool)]
		case 8: // splice the script itself in
			n := next()
			n = min(n, len(script))
			nodes = slices.Insert(nodes, at, bytes.Clone(script[:n]))
			script = script[n:]
		}
	}
	return nodes
}

// subjects are the addresses and slots that lies are told about.
func subjects() (addrs []common.Address, slots []common.Hash) {
	addrs = []common.Address{contract, absent, wallet, common.HexToAddress("0x12c")}
	slots = []common.Hash{number(1), number(200), number(999), number(31337), deepSlots[0], deepSlots[1]}
	return addrs, slots
}

func newForger(t testing.TB, w world) forger {
	f := forger{
		pool:     [][]byte{nil, {0x80}, {0xc0}},
		accounts: make(map[common.Address][][]byte), slots: make(map[common.Hash][][]byte),
	}
	addrs, slots := subjects()
	for _, addr := range addrs {
		f.accounts[addr] = w.state.prove(t, addr[:])
		f.pool = append(f.pool, f.accounts[addr]...)
	}
	for _, slot := range slots {
		f.slots[slot] = w.storage.prove(t, slot[:])
		f.pool = append(f.pool, f.slots[slot]...)
	}
	return f
}

// checkLie is the property: whatever the nodes are, either they are refused or the answer is the honest one.
// It says whether they were accepted.
func (w world) checkLie(t testing.TB, f forger, script []byte) bool {
	addrs, slots := subjects()
	pick := len(script)
	if pick > 0 {
		pick = int(script[0])
	}
	addr, slot := addrs[pick%len(addrs)], slots[pick%len(slots)]

	honest, err := VerifyAccount(w.state.root, addr, f.accounts[addr])
	if err != nil {
		t.Fatal(err)
	}
	account, err := VerifyAccount(w.state.root, addr, f.forge(script, f.accounts[addr]))
	accepted := err == nil
	if accepted && (account.Exists != honest.Exists || account.Nonce != honest.Nonce ||
		!account.Balance.Eq(honest.Balance) || account.StorageRoot != honest.StorageRoot || account.CodeHash != honest.CodeHash) {
		t.Errorf("script %x: %s is %+v", script, addr, account)
	}
	value, err := VerifySlot(w.storage.root, slot, f.forge(script, f.slots[slot]))
	if err == nil && value != w.slots[slot] {
		t.Errorf("script %x: slot %s is %s", script, slot, value)
	}
	return accepted || err == nil
}

func TestNothingButTheHonestValue(t *testing.T) {
	w := newWorld(t)
	f := newForger(t, w)
	random := rand.New(rand.NewPCG(4, 1186))
	accepted := 0
	const tries = 10_000
	for range tries {
		script := make([]byte, 1+random.IntN(24))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		if w.checkLie(t, f, script) {
			accepted++
		}
	}
	if accepted == 0 || accepted > tries*9/10 {
		t.Errorf("%d of %d were accepted: the forger does not try both", accepted, tries)
	}
}

// The same for tries of random shape: every key that is in proves its value, every other its absence, and
// no proof serves two keys with different values.
func TestRandomTries(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	word := func(bound int64) common.Hash { return number(1 + random.Int64N(bound)) }
	for range 40 {
		values := map[common.Hash]common.Hash{}
		raw := map[string][]byte{}
		for range random.IntN(60) {
			slot, value := word(100), word([]int64{2, 100, 1 << 40}[random.IntN(3)])
			values[slot] = value
			raw[string(slot[:])] = encode(t, value.Big())
		}
		tr := newTree(t, raw)
		for i := int64(1); i <= 100; i++ {
			slot, other := number(i), word(100)
			if got, err := VerifySlot(tr.root, slot, tr.prove(t, slot[:])); err != nil || got != values[slot] {
				t.Errorf("%d slots: %s is %s, %v; want %s", len(values), slot, got, err, values[slot])
			}
			got, err := VerifySlot(tr.root, slot, tr.prove(t, other[:]))
			if err == nil && got != values[slot] {
				t.Errorf("%d slots: by the proof of %s, %s is %s; want %s", len(values), other, slot, got, values[slot])
			}
		}
	}
}

package verify

import (
	"context"

	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

// refusing is a Provider whose lists are refused with an error, or answered by what.
func refusing(said func() error) *nodeProvider {
	p := newNodeProvider()
	p.hook = func(_ context.Context, requests []chain.Request, reply *chain.Reply, _ bool) error {
		if !asks(requests, "eth_createAccessList") {
			return nil
		}
		if err := said(); err != nil {
			for i := range reply.Results {
				reply.Results[i], reply.Errs[i] = nil, &chain.BackendError{Backend: "node", Err: err}
			}
		}
		return nil
	}
	return p
}

// TestListless: who makes no lists is not asked for them in vain each time. Any other trouble with a list is
// no reason: a contract, or a node that lags, would slow others down.
func TestListless(t *testing.T) {
	all := texts(t)
	for text, without := range map[string]bool{
		"the method eth_createAccessList does not exist/is not available": true,
		"Method not found": true,
		"eth_createAccessList is only available for paid plans": true,
		"Unsupported":             true,
		"header not found":        false,
		"rate limited: slow down": false,
		"out of gas":              false,
		"execution reverted: Method not supported": false,
	} {
		now := time.Now()
		p := refusing(func() error { return fmt.Errorf("%w: %s", chain.ErrUnavailable, text) })
		v := newVerifierWith(t, Config{Provider: p, Now: func() time.Time { return now }})
		first, second := call(t, v, all[0]), call(t, v, all[8])
		asked := p.count("eth_createAccessList")
		if got := v.listless.Load() != 0; got != without {
			t.Errorf("%s: no lists from now on: %v", text, got)
		}
		if first.Proof.Trips < 3 || second.Proof.Trips < 1 {
			t.Errorf("%s: %d, %d trips", text, first.Proof.Trips, second.Proof.Trips)
		}
		now = now.Add(listless + time.Second)
		call(t, v, all[16])
		if got := p.count("eth_createAccessList"); got == asked {
			t.Errorf("%s: nobody was asked after %v", text, listless)
		}
	}
}

// TestListlessTrips counts trips where there are no lists: one for what is certain, one for each surprise.
func TestListlessTrips(t *testing.T) {
	p := refusing(func() error { return errors.New("method not found") })
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{newest(t.Context())}})
	v.listless.Store(time.Now().Add(time.Hour).UnixNano())
	m := chain.Msg{To: deploy(t, word("600154600254016003540160045401"))} // reads four slots of an empty account: none
	v.cfg.Anchors = fixedAnchor{newest(t.Context())}
	if r := call(t, v, m); r.Proof.Trips != 1 || p.count("eth_createAccessList") != 0 {
		t.Errorf("got %+v", r.Proof)
	}
}

// TestListsFromTheSecond: one backend makes none, another does.
func TestListsFromTheSecond(t *testing.T) {
	first := newBackend(t, lies(t)["no access lists"].lie)
	second := newBackend(t, nil)
	second.delay = 60 * time.Millisecond
	v := newVerifier(t, newPool(t, first, second))
	for _, m := range texts(t)[:3] {
		if r := call(t, v, m); r.Proof.Trips != 2 {
			t.Errorf("got %+v", r.Proof)
		}
	}
	if got := second.count("eth_createAccessList"); got != 3 || v.listless.Load() != 0 {
		t.Errorf("the second was asked for %d lists", got)
	}
}

// TestContractCannotFrame: a contract reads something else when a list is made of what it reads. The backend
// is not blamed for one of those, nor for many with good ones between.
func TestContractCannotFrame(t *testing.T) {
	// With less than 20 million gas, it reads 32 slots: GAS < 20e6 ? loop : stop.
	framer := chain.Msg{To: deploy(t, "5a6301312d0011600b57005b60005b80545060010180602011600e5700")}
	p := newNodeProvider()
	v := newVerifierWith(t, Config{Provider: p})
	good := texts(t)
	for i := range 6 {
		framer.Data = []byte{byte(i)} // each time another message
		call(t, v, framer)
		if i == 0 {
			v.mu.Lock()
			strikes := v.strikes["node"]
			v.mu.Unlock()
			if strikes != 1 {
				t.Fatalf("%d strikes: the contract does not frame", strikes)
			}
		}
		call(t, v, good[i])
	}
	if len(p.blamed) != 0 {
		t.Errorf("blamed: %v", p.blamed)
	}
	for i := range allowedBad + 1 {
		framer.Data = []byte{byte(i), 1}
		call(t, v, framer)
	}
	if len(p.blamed) != 1 {
		t.Errorf("blamed: %v", p.blamed)
	}
	for i := range 2 * maxStrikes {
		v.strike(fmt.Sprint(i), true)
	}
	if len(v.strikes) > maxStrikes {
		t.Errorf("%d strikes are kept", len(v.strikes))
	}
}

// TestMemoryIsBounded has many messages that read much, and all precompiled contracts used.
func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	var reads []access
	for i := range maxAccounts {
		reads = append(reads, access{common.Address{byte(i)}, make([]common.Hash, maxSlots/maxAccounts)})
	}
	for i := range maxRemembered {
		m.learn(common.Hash{byte(i), byte(i >> 8)}, common.Hash{}, reads)
		m.learn(common.Hash{byte(i), byte(i >> 8)}, common.Hash{1}, reads) // again
	}
	sum := 0
	for _, r := range m.reads.Values() {
		sum += r.size()
	}
	if m.held > maxRememberedBytes || m.held < maxRememberedBytes/2 || sum != m.held {
		t.Errorf("%d bytes are said to be kept, %d are", m.held, sum)
	}
	m.learn(common.Hash{9}, common.Hash{}, append(reads, access{}))
	m.learn(common.Hash{8}, common.Hash{}, []access{{slots: make([]common.Hash, maxSlots+1)}})
	for _, key := range []common.Hash{{9}, {8}} {
		if got, _ := m.recall(key); len(got) > maxAccounts || len(got) == 1 {
			t.Error("too much is remembered of one message")
		}
	}
	for i := range 18 {
		m.used(common.Address{19: byte(i)})
	}
	if got := m.precompiled(); len(got) != len(commonPrecompiles)+maxRare {
		t.Errorf("got %v", got)
	}
}

func FuzzDecodeList(f *testing.F) {
	f.Add([]byte(`{"accessList":[{"address":"0x00000000000000000000000000000000000000ff","storageKeys":["0x0000000000000000000000000000000000000000000000000000000000000001"]}],"gasUsed":"0x5208"}`))
	f.Add([]byte(`{"accessList":[],"error":"execution reverted"}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"accessList":[` + strings.Repeat(`{"address":"0x00000000000000000000000000000000000000ff","storageKeys":[]},`, 100) + `]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reads, err := decodeList(data)
		if err != nil {
			if !errors.Is(err, chain.ErrMalformed) || reads != nil {
				t.Errorf("got %v, %v", reads, err)
			}
			return
		}
		slots := 0
		for _, a := range reads {
			slots += len(a.slots)
		}
		if len(reads) > maxAccounts || slots > maxSlots {
			t.Errorf("%d accounts, %d slots", len(reads), slots)
		}
		// What is read is what is there: written again and read again it is the same.
		type entry struct {
			Address common.Address `json:"address"`
			Keys    []common.Hash  `json:"storageKeys"`
		}
		list := []entry{}
		for _, a := range reads {
			list = append(list, entry{a.address, append([]common.Hash{}, a.slots...)})
		}
		again, err := decodeList(mustJSON(t, map[string]any{"accessList": list}))
		if err != nil || len(again) != len(reads) {
			t.Fatalf("got %v, %v", again, err)
		}
		for i := range again {
			if again[i].address != reads[i].address || len(again[i].slots) != len(reads[i].slots) {
				t.Errorf("got %v, had %v", again[i], reads[i])
			}
		}
	})
}

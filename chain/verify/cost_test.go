package verify

import (
	"sync"
	"testing"
	"time"

	"dens/chain"
)

// textOf are texts that differ from name to name: each reads slots of its own, by the same contracts.
func texts(t testing.TB) []chain.Msg {
	var msgs []chain.Msg
	for _, name := range []string{"alice.eth", "bob.eth", "carol.eth", "wallet.eth"} {
		for _, key := range []string{"url", "dns.A", "dns.AAAA", "email", "avatar", "description", "dns.MX", "dns.TXT"} {
			msgs = append(msgs, text(t, name, key))
		}
	}
	return msgs
}

func call(t testing.TB, v *Verifier, msgs ...chain.Msg) chain.Result {
	r, err := v.Call(t.Context(), chain.Call{Msgs: msgs})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range r.Outputs {
		if out.Err != nil {
			t.Fatal(out.Err)
		}
	}
	return r
}

func mine(t testing.TB) {
	if _, err := theChain.Mine(); err != nil {
		t.Fatal(err)
	}
}

func TestTrips(t *testing.T) {
	b := newBackend(t, nil)
	b.delay = 40 * time.Millisecond
	v := newVerifier(t, newPool(t, b))
	all := texts(t)
	steps := []struct {
		what string
		do   func() chain.Result
		want int
	}{
		{"cold", func() chain.Result { return call(t, v, all[0]) }, 2},
		{"the same within the block", func() chain.Result { return call(t, v, all[0]) }, 0},
		{"another name within the block", func() chain.Result { return call(t, v, all[9]) }, 2},
		{"a new block", func() chain.Result { mine(t); return call(t, v, all[0]) }, 1},
		{"again", func() chain.Result { return call(t, v, all[0]) }, 0},
		{"several messages, cold", func() chain.Result { return call(t, v, all[20:25]...) }, 2},
		{"several messages at a new block", func() chain.Result { mine(t); return call(t, v, all[20:25]...) }, 1},
		{"another name at a new block", func() chain.Result { mine(t); return call(t, v, all[28]) }, 2},
	}
	for _, s := range steps {
		before := b.trips.Load()
		began := time.Now()
		r := s.do()
		if got := int(b.trips.Load() - before); got != s.want || r.Proof.Trips != s.want {
			t.Errorf("%s: %d requests, %d trips, want %d", s.what, got, r.Proof.Trips, s.want)
		}
		t.Logf("%-34s %d trips, %6d bytes, %v", s.what, r.Proof.Trips, r.Proof.Bytes, time.Since(began).Round(100*time.Microsecond))
	}
}

// TestManyAtOnce has 32 names asked for at once at a new block. A machine that makes the lists later than they are
// waited for gets another chance.
func TestManyAtOnce(t *testing.T) {
	for range 20 {
		began := time.Now()
		most := manyAtOnce(t)
		if most <= 2 {
			return
		}
		if time.Since(began) < listPatience {
			t.Fatalf("a name took %d trips", most)
		}
	}
	t.Error("lists always come too late")
}

// manyAtOnce returns how many trips the name took that took most.
func manyAtOnce(t *testing.T) (most int) {
	b := newBackend(t, nil)
	b.delay = 40 * time.Millisecond
	v := newVerifier(t, newPool(t, b))
	mine(t)
	var wg sync.WaitGroup
	results := make([]chain.Result, 32)
	for i, m := range texts(t) {
		wg.Go(func() { results[i] = call(t, v, m) })
	}
	wg.Wait()
	for _, r := range results {
		most = max(most, r.Proof.Trips)
	}
	// The contracts are three: the two resolvers and the registry.
	if headers, codes := b.count("eth_getBlockByHash"), b.count("eth_getCode"); headers != 1 || codes != 3 {
		t.Errorf("%d headers and %d codes were fetched", headers, codes)
	}
	return most
}

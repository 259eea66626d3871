package recursive

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// newTestStore is a store of strings that weigh what they are long, and the function that lets time pass.
func newTestStore(most, bytes int) (*store[string, string], func(time.Duration)) {
	now := time.Unix(0, 0)
	s := newStore[string](most, bytes, func(v string) int { return len(v) }, func() time.Time { return now })
	return s, func(d time.Duration) { now = now.Add(d) }
}

// TestStoreKeepsWhatIsUsed: a flood of names that nobody asks again leaves those in use alone.
func TestStoreKeepsWhatIsUsed(t *testing.T) {
	s, pass := newTestStore(100, 1000)
	for i := range 50 {
		s.add(fmt.Sprint("popular", i), "v")
	}
	pass(soonAfter)
	for i := range 50 {
		if _, ok := s.get(fmt.Sprint("popular", i)); !ok {
			t.Fatal("forgotten with room to spare")
		}
	}
	for i := range 10000 {
		key := fmt.Sprint("flood", i)
		s.add(key, "v")
		s.get(key) // as the question does that it was stored for
	}
	for i := range 50 {
		if _, ok := s.get(fmt.Sprint("popular", i)); !ok {
			t.Errorf("popular%d was pushed out", i)
		}
	}
	if n, _ := s.len(); n != 100 {
		t.Errorf("%d values, bound 100", n)
	}
}

// TestStoreForgets: what was in use once makes room for what is now.
func TestStoreForgets(t *testing.T) {
	s, pass := newTestStore(100, 1000)
	for round := range 3 {
		for i := range 100 {
			key := fmt.Sprint(round, " ", i)
			s.add(key, "v")
			pass(soonAfter)
			if _, ok := s.get(key); !ok {
				t.Fatalf("%s is gone at once", key)
			}
		}
	}
	for i := range 100 {
		if _, ok := s.get(fmt.Sprint("0 ", i)); ok {
			t.Errorf("%d of the first round is still there", i)
		}
	}
}

func TestStoreBounds(t *testing.T) {
	s, pass := newTestStore(1000, 1600)
	for i := range 500 {
		key := fmt.Sprint(i % 60)
		s.add(key, strings.Repeat("v", i%101))
		if i%3 == 0 {
			pass(soonAfter)
			s.get(key)
		}
		n, bytes := s.len()
		sum := 0
		for _, e := range s.items {
			sum += len(e.Value.(*stored[string, string]).value)
		}
		if bytes > 1600 || bytes != sum || n != s.fresh.Len()+s.proven.Len() {
			t.Fatalf("after %d: %d values of %d bytes, counted %d", i, n, sum, bytes)
		}
	}
	s.add("heavy", strings.Repeat("v", 101))
	if _, ok := s.get("heavy"); ok {
		t.Error("one value takes more than its part")
	}
	s.add("light", "1")
	s.add("light", strings.Repeat("v", 101))
	if v, ok := s.get("light"); ok {
		t.Errorf("%q stays when its successor is too heavy", v)
	}
}

// TestWeight: the weight of what strangers send is no less than what it takes.
func TestWeight(t *testing.T) {
	txt := &dns.TXT{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat(`\000`, 255)}}
	if got := weightOf([]dns.RR{txt}); got < 4*255 {
		t.Errorf("%d for %d bytes of text", got, 4*255)
	}
}

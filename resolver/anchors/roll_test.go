package anchors

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// TestRollOver is the way of the root's keys from one to the next, over most of a year, with restarts.
func TestRollOver(t *testing.T) {
	old, zsk := ksk(t, "."), signer(t, ".", dns.ZONE)
	next := ksk(t, ".")
	w := newWorld(t, old)
	w.publish(signers(old, zsk), signers(old))
	w.pass(3)
	w.want(old, Valid)
	w.want(zsk, 0)

	w.publish(signers(old, next, zsk), signers(old))
	w.pass(15)
	w.want(next, AddPend)
	w.restart()
	w.want(next, AddPend)
	w.pass(15)
	w.want(next, AddPend) // the 30 days began with the first refresh that showed it
	w.pass(1)
	w.want(next, Valid)
	w.want(old, Valid)

	w.publish(signers(old, next, zsk), signers(next)) // the new key signs, the old one is still there
	w.pass(60)
	w.want(old, Valid)
	w.publish(signers(revoked(old), next, zsk), signers(revoked(old), next))
	w.pass(1)
	w.want(old, Revoked)
	w.want(next, Valid)
	w.restart()
	w.want(old, Revoked) // although the anchor file still has its DS
	w.publish(signers(next, zsk), signers(next))
	w.pass(29)
	w.want(old, Revoked)
	w.pass(1)
	w.want(old, Removed)
	w.restart()
	w.want(old, Removed)
	w.want(next, Valid)

	w.publish(signers(old, next, zsk), signers(next)) // whoever holds the old key brings it back
	w.pass(60)
	w.want(old, Removed)
}

func TestTheTwoRootKeysOfTheDay(t *testing.T) {
	ksk2017, ksk2024 := ksk(t, "."), ksk(t, ".")
	t.Run("only the new one signs", func(t *testing.T) {
		w := newWorld(t, ksk2017, ksk2024)
		w.publish(signers(ksk2017, ksk2024), signers(ksk2024))
		w.pass(2)
		w.want(ksk2017, Valid)
		w.want(ksk2024, Valid)
		w.publish(signers(ksk2024), signers(ksk2024))
		w.pass(40)
		w.want(ksk2017, Missing)
		w.publish(signers(ksk2017, ksk2024), signers(ksk2017))
		w.pass(1)
		w.want(ksk2017, Valid)
	})
	t.Run("the old one is revoked when we come", func(t *testing.T) {
		w := newWorld(t, ksk2017, ksk2024)
		w.publish(signers(revoked(ksk2017), ksk2024), signers(revoked(ksk2017), ksk2024))
		w.mustRefresh()
		w.want(ksk2017, Revoked)
		w.want(ksk2024, Valid)
	})
	t.Run("another's word revokes nothing", func(t *testing.T) {
		w := newWorld(t, ksk2017, ksk2024)
		w.publish(signers(revoked(ksk2017), ksk2024), signers(ksk2024))
		w.mustRefresh()
		w.want(ksk2017, Valid) // by its DS: no set has shown it
		w.want(ksk2024, Valid)
	})
	t.Run("revoked in a set that nobody else signed", func(t *testing.T) {
		w := newWorld(t, ksk2017, ksk2024)
		w.publish(signers(revoked(ksk2017)), signers(revoked(ksk2017)))
		if err := w.refresh(); err == nil {
			t.Fatal("a set that no anchor signed was accepted")
		}
		w.want(ksk2017, Revoked)
		w.restart()
		w.want(ksk2017, Revoked)
		w.want(ksk2024, Valid)
	})
}

func TestPending(t *testing.T) {
	old, evil, good := ksk(t, "."), ksk(t, "."), ksk(t, ".")
	t.Run("a stolen key adds a key, the owner's sets do not have it", func(t *testing.T) {
		w := newWorld(t, old)
		w.publish(signers(old, evil), signers(old))
		w.pass(10)
		w.want(evil, AddPend)
		w.publish(signers(old, good), signers(old))
		w.pass(1)
		w.want(evil, 0)
		w.publish(signers(old, evil), signers(old))
		w.pass(29)
		w.want(evil, AddPend) // from the beginning
		w.want(good, 0)
	})
	t.Run("signed by the new key alone", func(t *testing.T) {
		w := newWorld(t, old)
		w.publish(signers(old, evil), signers(evil))
		if err := w.refresh(); err == nil || !strings.Contains(err.Error(), "the anchors are of keys") {
			t.Fatalf("error %v", err)
		}
		w.want(evil, 0)
	})
	t.Run("a pending key vouches for nothing", func(t *testing.T) {
		w := newWorld(t, old)
		w.publish(signers(old, evil), signers(old))
		w.pass(2)
		w.publish(signers(old, evil, good), signers(evil))
		if err := w.refresh(); err == nil {
			t.Fatal("a pending key was believed")
		}
		w.want(good, 0)
		w.want(evil, AddPend)
	})
	t.Run("revoked while it waits", func(t *testing.T) {
		w := newWorld(t, old)
		w.publish(signers(old, good), signers(old))
		w.pass(2)
		w.publish(signers(old, revoked(good)), signers(old, revoked(good)))
		w.pass(1)
		w.want(good, Revoked)
		w.publish(signers(old, good), signers(old))
		w.pass(70)
		if got := w.stateOf(good); !got.dead() {
			t.Fatalf("it came back: %v", got)
		}
	})
	t.Run("only a refresh after the hold-down promotes", func(t *testing.T) {
		w := newWorld(t, old)
		w.publish(signers(old, good), signers(old))
		w.pass(2)
		w.down = true
		w.now = w.now.Add(60 * day)
		if err := w.refresh(); err == nil {
			t.Fatal("no error without a network")
		}
		w.restart()
		w.want(good, AddPend)
		w.down = false
		w.mustRefresh()
		w.want(good, Valid)
	})
	t.Run("a long TTL is a longer hold-down", func(t *testing.T) {
		slow := ksk(t, ".")
		slow.Key.Hdr.Ttl = uint32(50 * day / time.Second)
		added := *good.Key
		added.Hdr.Ttl = slow.Key.Hdr.Ttl
		w := newWorld(t, slow)
		w.publish(signers(slow, &dnssec.Signer{Key: &added, Private: good.Private}), signers(slow))
		w.pass(50)
		w.want(good, AddPend)
		w.pass(1)
		w.want(good, Valid)
	})
	t.Run("a key that cannot verify anything", func(t *testing.T) {
		odd := *good.Key
		odd.Algorithm = 200
		w := newWorld(t, old)
		w.publish(signers(old, &dnssec.Signer{Key: &odd}), signers(old))
		w.pass(40)
		if got := w.stateOf(&dnssec.Signer{Key: &odd}); got != 0 {
			t.Fatalf("it is %v", got)
		}
	})
	t.Run("only so many", func(t *testing.T) {
		w := newWorld(t, old)
		many := signers(old)
		for range 40 {
			many = append(many, ksk(t, "."))
		}
		w.publish(many, signers(old))
		w.pass(1)
		if got := len(w.store.Status()[0].Keys); got != 1+maxPending {
			t.Fatalf("%d keys", got)
		}
	})
}

func TestClock(t *testing.T) {
	old, next := ksk(t, "."), ksk(t, ".")
	t.Run("going back shortens nothing", func(t *testing.T) {
		w := newWorld(t, old)
		w.publish(signers(old, next), signers(old))
		w.pass(20)
		w.now = w.now.Add(-90 * day)
		w.mustRefresh()
		w.restart()
		w.mustRefresh()
		w.want(next, AddPend)
		if st := w.store.Status()[0]; st.Next.After(w.now.Add(15 * day)) {
			t.Errorf("next refresh %v, now %v", st.Next, w.now)
		}
		w.now = w.now.Add(90 * day)
		w.pass(10)
		w.want(next, AddPend)
		w.pass(1)
		w.want(next, Valid)
	})
	t.Run("a clock far off is named as the likely cause", func(t *testing.T) {
		w := newWorld(t, old)
		set := w.set()
		w.now = start.Add(-400 * day)
		err := w.store.Observe(".", set)
		if err == nil || !strings.Contains(err.Error(), "2025-10-17T10:00:00Z: is it right?") {
			t.Errorf("error %v", err)
		}
		w.want(old, Valid)
	})
	t.Run("a next refresh far off does not keep us waiting", func(t *testing.T) {
		w := newWorld(t, old)
		w.mustRefresh()
		w.now = start.Add(-400 * day)
		if zone, wait := w.store.due(); zone != "." || wait > 0 {
			t.Errorf("due: %q in %v", zone, wait)
		}
	})
}

func TestAllRevoked(t *testing.T) {
	a, b := ksk(t, "."), ksk(t, ".")
	w := newWorld(t, a, b)
	w.publish(signers(revoked(a), revoked(b)), signers(revoked(a), revoked(b)))
	if err := w.refresh(); err == nil || !strings.Contains(err.Error(), "all trust anchors are revoked") {
		t.Fatalf("error %v", err)
	}
	w.want(a, Revoked)
	w.want(b, Revoked)
	for range 2 { // also after a restart
		_, trust, ok := w.store.Anchors().For("example.")
		if !ok {
			t.Fatal("the root has no anchor: everything would be insecure")
		}
		keys := dnssec.New(dnssec.Config{}).ValidateKeys(".", w.set(), trust, w.now, dnssec.NewBudget(dnssec.Limits{}))
		if keys.Status != dnssec.Bogus {
			t.Errorf("keys of a closed zone are %v", keys.Verdict)
		}
		if st := w.store.Status()[0]; !st.Closed {
			t.Errorf("status %+v", st)
		}
		if zone, _ := w.store.due(); zone != "" {
			t.Errorf("%q is due", zone)
		}
		w.restart()
	}
	c := ksk(t, ".")
	w.configure(c)
	w.restart()
	w.want(c, Valid)
	w.want(a, Revoked)
}

func TestAllRevokedBelowAnotherAnchor(t *testing.T) {
	k := ksk(t, "corp.example.")
	w := newWorld(t, k) // the root's built in keys remain beside it
	w.publish(signers(revoked(k)), signers(revoked(k)))
	if err := w.store.Refresh(t.Context(), "corp.example."); err == nil {
		t.Fatal("no error")
	}
	if zone, _, _ := w.store.Anchors().For("host.corp.example."); zone != "." {
		t.Errorf("judged by %q", zone)
	}
}

func TestConfigurationChanges(t *testing.T) {
	a, b, c := ksk(t, "."), ksk(t, "."), ksk(t, ".")
	learned := func(t *testing.T) *world { // a is configured, b was learned, a is revoked
		w := newWorld(t, a)
		w.publish(signers(a, b), signers(a))
		w.pass(32)
		w.want(b, Valid)
		return w
	}
	t.Run("what was learned stays beside what is still named", func(t *testing.T) {
		w := learned(t)
		w.configure(a, c)
		w.restart()
		w.want(a, Valid)
		w.want(b, Valid)
		w.want(c, Valid)
	})
	t.Run("also when that is revoked by now", func(t *testing.T) {
		w := learned(t)
		w.publish(signers(revoked(a), b), signers(revoked(a), b))
		w.pass(2)
		w.restart()
		w.want(a, Revoked)
		w.want(b, Valid)
	})
	t.Run("a key that is no longer named goes", func(t *testing.T) {
		w := learned(t)
		w.configure(b)
		w.restart()
		w.want(a, 0)
		w.want(b, Valid)
	})
	t.Run("naming none of them is a new beginning", func(t *testing.T) {
		w := learned(t)
		w.configure(c)
		w.restart()
		w.want(a, 0)
		w.want(b, 0)
		w.want(c, Valid)
	})
	t.Run("a pending key that is named need not wait", func(t *testing.T) {
		w := newWorld(t, a)
		w.publish(signers(a, b), signers(a))
		w.pass(2)
		w.write("anchors", a.Key.String()+"\n"+b.Key.String()+"\n")
		w.restart()
		w.want(b, Valid)
		if st := w.store.Status()[0]; len(st.Keys) != 2 {
			t.Errorf("status %+v", st)
		}
	})
	t.Run("revoked keys are remembered when a zone goes and comes", func(t *testing.T) {
		w := newWorld(t, a)
		w.publish(signers(revoked(a), b), signers(revoked(a)))
		if err := w.refresh(); err == nil {
			t.Fatal("no error")
		}
		cfg := w.config()
		w.write("anchors", dnssec.NewDS(ksk(t, "other.").Key, dns.SHA256).String())
		if _, err := Load(cfg); err != nil {
			t.Fatal(err)
		}
		w.configure(a, c)
		w.restart()
		w.want(a, Revoked)
		w.want(c, Valid)
	})
}

func TestWithoutState(t *testing.T) {
	a, b := ksk(t, "."), ksk(t, ".")
	w := newWorld(t, a)
	cfg := w.config()
	cfg.State = ""
	s, err := Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.store = s
	w.publish(signers(a, b), signers(a))
	w.pass(40)
	w.want(a, Valid)
	w.want(b, 0)
	w.publish(signers(revoked(a), b), signers(revoked(a), b))
	if err := w.refresh(); err == nil {
		t.Error("a set that no anchor signed was accepted")
	}
	if !strings.Contains(w.log.String(), "was revoked, but stays in service") {
		t.Errorf("log:\n%s", w.log.String())
	}
	w.wantTrust(a, true)
}

func TestObserveRefuses(t *testing.T) {
	a := ksk(t, ".")
	w := newWorld(t, a)
	if err := w.store.Observe("other.", w.set()); err == nil {
		t.Error("a zone without an anchor was observed")
	}
	if err := w.store.Observe(".", dnssec.RRset{}); err == nil {
		t.Error("an empty set was accepted")
	}
	w.want(a, Valid)
	w.now = w.now.Add(day)
	broken := w.set()
	broken.Sigs[0].Expiration++
	if err := w.store.Observe(".", broken); err == nil {
		t.Error("a broken signature was accepted")
	}
	if st := w.store.Status()[0]; !strings.Contains(st.Error, "does not verify") || !st.Next.Equal(w.now.Add(time.Hour)) {
		t.Errorf("status %+v", st)
	}
	w.mustRefresh()
	if st := w.store.Status()[0]; st.Error != "" || !st.Checked.Equal(w.now) || !st.Next.Equal(w.now.Add(day)) {
		t.Errorf("status %+v", st) // half of the TTL of two days
	}
}

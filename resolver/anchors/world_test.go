package anchors

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

const day = 24 * time.Hour

// start is when the stories begin.
var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// signer is a key of a zone, and who can sign with it.
func signer(t testing.TB, zone string, flags uint16) *dnssec.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := dnssec.NewKey(zone, 172800, flags, dns.ED25519, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &dnssec.Signer{Key: k, Private: private}
}

func ksk(t testing.TB, zone string) *dnssec.Signer { return signer(t, zone, dns.ZONE|dns.SEP) }

// revoked is a key with the REVOKE flag: another tag, the same key.
func revoked(s *dnssec.Signer) *dnssec.Signer {
	k := *s.Key
	k.Flags |= dns.REVOKE
	return &dnssec.Signer{Key: &k, Private: s.Private}
}

// world is a zone's key holders, a clock, and a resolver with its files.
type world struct {
	t     *testing.T
	dir   string
	now   time.Time
	keys  []*dnssec.Signer // published
	signs []*dnssec.Signer // of these, who signs the set
	down  bool
	store *Store
	log   bytes.Buffer
}

// newWorld trusts the DS of the first keys.
func newWorld(t *testing.T, trusted ...*dnssec.Signer) *world {
	w := &world{t: t, dir: t.TempDir(), now: start}
	w.configure(trusted...)
	w.publish(trusted, trusted)
	w.restart()
	return w
}

func (w *world) state() string { return filepath.Join(w.dir, "state") }

// configure writes the anchor file.
func (w *world) configure(trusted ...*dnssec.Signer) {
	w.t.Helper()
	var b strings.Builder
	for _, s := range trusted {
		b.WriteString(dnssec.NewDS(s.Key, dns.SHA256).String() + "\n")
	}
	w.write("anchors", b.String())
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) publish(keys, signs []*dnssec.Signer) { w.keys, w.signs = keys, signs }

func (w *world) set() dnssec.RRset {
	var set dnssec.RRset
	for _, s := range w.keys {
		set.RRs = append(set.RRs, s.Key)
	}
	for _, s := range w.signs {
		sig, err := s.Sign(set.RRs, w.now.Add(-time.Hour), w.now.Add(20*day))
		if err != nil {
			w.t.Fatal(err)
		}
		set.Sigs = append(set.Sigs, sig)
	}
	return set
}

func (w *world) config() Config {
	return Config{
		File: filepath.Join(w.dir, "anchors"), State: w.state(),
		Now: func() time.Time { return w.now },
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Fetch: func(context.Context, string) (dnssec.RRset, error) {
			if w.down {
				return dnssec.RRset{}, errors.New("network unreachable")
			}
			return w.set(), nil
		},
	}
}

// restart begins anew from the files.
func (w *world) restart() {
	w.t.Helper()
	s, err := Load(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = s
}

// refresh does what Run does when it is due.
func (w *world) refresh() error { return w.store.Refresh(context.Background(), ".") }

func (w *world) mustRefresh() {
	w.t.Helper()
	if err := w.refresh(); err != nil {
		w.t.Fatalf("on %s: %v", w.now.Format(time.DateOnly), err)
	}
}

// pass lets days go by with a refresh on each.
func (w *world) pass(days int) {
	w.t.Helper()
	for range days {
		w.now = w.now.Add(day)
		w.mustRefresh()
	}
}

// stateOf returns a key's state as Status has it; 0 when it is not known.
func (w *world) stateOf(s *dnssec.Signer) State {
	w.t.Helper()
	for _, st := range w.store.Status() {
		for _, k := range st.Keys {
			if k.Tag == s.Key.KeyTag() && k.Algorithm == s.Key.Algorithm {
				return k.State
			}
		}
	}
	return 0
}

func (w *world) want(s *dnssec.Signer, want State) {
	w.t.Helper()
	if got := w.stateOf(s); got != want {
		w.t.Fatalf("on %s the key %d is %v, want %v\n%s", w.now.Format(time.DateOnly), s.Key.KeyTag(), got, want, w.log.String())
	}
	w.wantTrust(s, want.trusted())
}

// wantTrust checks what counts: whether a set that a key alone signed would be believed.
func (w *world) wantTrust(s *dnssec.Signer, want bool) {
	w.t.Helper()
	zone := s.Key.Hdr.Name
	sig, err := s.Sign([]dns.RR{s.Key}, w.now.Add(-time.Hour), w.now.Add(day))
	if err != nil {
		w.t.Fatal(err)
	}
	set := dnssec.RRset{RRs: []dns.RR{s.Key}, Sigs: []*dns.RRSIG{sig}}
	at, trust, _ := w.store.Anchors().For(zone)
	got := at == zone && dnssec.New(dnssec.Config{}).ValidateKeys(zone, set, trust, w.now, dnssec.NewBudget(dnssec.Limits{})).Status == dnssec.Secure
	if got != want {
		w.t.Fatalf("on %s the key %d is trusted: %v, want %v", w.now.Format(time.DateOnly), s.Key.KeyTag(), got, want)
	}
}

func signers(s ...*dnssec.Signer) []*dnssec.Signer { return slices.Clone(s) }

func dsOf(s *dnssec.Signer, digest uint8) string { return dnssec.NewDS(s.Key, digest).String() + "\n" }

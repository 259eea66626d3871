package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/chain/beacon"
	"dens/configs"
	"dens/internal/demo"
	"dens/reply"
)

// provenWorld is a demo chain with a beacon API whose answers can be made to fail.
type provenWorld struct {
	*demo.Chain
	beacon  *httptest.Server
	failing atomic.Int32 // the status that all of the beacon API answers; 0 is none
	network string       // path of the description
	root    string
}

func newProvenWorld(t *testing.T) *provenWorld {
	t.Helper()
	c, err := demo.Start(t.Context(), demo.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	w := &provenWorld{Chain: c, network: filepath.Join(t.TempDir(), "config.yaml")}
	if err := os.WriteFile(w.network, c.Beacon.NetworkConfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	root, _ := c.Beacon.Checkpoint()
	w.root = root.Hex()
	w.beacon = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if status := w.failing.Load(); status != 0 {
			http.Error(rw, "not now", int(status))
			return
		}
		c.Beacon.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(w.beacon.Close)
	return w
}

// config is a configuration over the world: keys are further ones of the chain, in flow style.
func (w *provenWorld) config(t *testing.T, keys string) *configs.Config {
	t.Helper()
	return parseConfig(t, fmt.Sprintf(`
listen: { dns: ["127.0.0.1:0"], http: "" }
chains:
  demo: { id: %d, network: %q, beacon: [%q], rpc: [{ url: %q, operator: a }, { url: %q, operator: b }], %s }
names:
  - { zone: eth, chain: demo, registry: %q, universal_resolver: %q }
resolve: { forward: [%q] }
`, w.ChainID(), w.network, w.beacon.URL, w.HTTPURL(), w.WSURL(), keys, w.Registry.Hex(), w.UniversalResolver.Hex(), w.DNS))
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// askStack resolves a name by a stack.
func askStack(t *testing.T, s *stack, name string) asked {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, true)
	req, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	entry, err := s.source.Reply(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	a := asked{msg: new(dns.Msg), zone: entry.Zone}
	if err := a.msg.Unpack(entry.Wire); err != nil {
		t.Fatal(err)
	}
	if a.origin, err = reply.ParseOrigin(entry.Origin); err != nil {
		t.Fatal(err)
	}
	return a
}

// askPatiently resolves a name that has an answer by a stack whose chain may not be ready yet.
func askPatiently(t *testing.T, s *stack, name string) asked {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		if a := askStack(t, s, name); len(a.msg.Answer) > 0 && a.origin != nil || time.Now().After(end) {
			return a
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestReloadKeepsWhatIsProven: a reload keeps chains whose configuration it does not change, and the light
// client where only the rest of its chain's does.
func TestReloadKeepsWhatIsProven(t *testing.T) {
	t.Parallel()
	w := newProvenWorld(t)
	file := filepath.Join(t.TempDir(), "checkpoint")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# believed\n" + w.root + "\n")
	state := filepath.Join(t.TempDir(), "a", "b")
	keys := fmt.Sprintf("checkpoint: %q, state: %q", file, state)
	cfg := w.config(t, keys)
	d, err := startDaemon(cfg, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.shutdown(time.Second) })
	now := func() *chainStack { return d.current.Load().stack.chain("demo") }
	if a := askPatiently(t, d.current.Load().stack, "alice.eth."); len(a.msg.Answer) == 0 || a.origin == nil || a.origin.Trust != "proven" || a.origin.Proof == nil || a.origin.Proof.Beacon == nil {
		t.Fatalf("got %v, %+v", a.msg, a.origin)
	}
	reload := func(cfg *configs.Config) {
		t.Helper()
		if err := d.reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if a := askPatiently(t, d.current.Load().stack, "carol.eth."); len(a.msg.Answer) == 0 || a.origin.Trust != "proven" {
			t.Fatalf("after a reload: %v, %+v", a.msg, a.origin)
		}
	}
	first := now()
	calls := first.verifier.Status().Calls
	reload(w.config(t, keys))
	if now() != first || first.users != 1 || now().verifier.Status().Calls <= calls {
		t.Errorf("a reload that changes nothing: the chain is another, or has %d users", first.users)
	}
	reload(w.config(t, keys+", timeout: 6s"))
	second := now()
	if second == first || second.light != first.light || second.light.users != 1 {
		t.Errorf("another timeout: the light client is another, or has %d users", second.light.users)
	}
	reload(w.config(t, keys+", timeout: 6s, max_head_age: 6m"))
	third := now()
	if third.light == second.light {
		t.Error("another max_head_age: the light client is the same")
	}
	running := d.current.Load().stack
	write(w.Beacon.Head().Root.Hex()) // any other: what was proven from the old one is of no use
	other, err := newStack(w.config(t, keys+", timeout: 6s, max_head_age: 6m"), running, false, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	if other.chain("demo").light == third.light || len(changed(zoneTags(cfg, running.checkpoints()), zoneTags(cfg, other.checkpoints()))) != 1 {
		t.Error("another checkpoint in the file: what was proven from the old one is kept")
	}
	other.close()
	if third.users != 1 || third.light.users != 1 || !third.light.Ready() {
		t.Errorf("the stack that runs has lost its chain: %d, %d users", third.users, third.light.users)
	}
	write("nothing")
	if err := d.reload(t.Context(), w.config(t, keys)); err == nil || !strings.Contains(err.Error(), `chains.demo.checkpoint: `+file+`:1: found "nothing", expected the root`) {
		t.Errorf("a broken file: %v", err)
	}
	checkModes(t, state)
}

// checkModes wants nobody else to read what is remembered.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !e.IsDir() {
			files++
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 2 {
		t.Errorf("%d files, %v: want a light client's state and code", files, err)
	}
}

// TestOnlookersLeaveNoTraces: who looks reads what a server remembers, and writes nothing.
func TestOnlookersLeaveNoTraces(t *testing.T) {
	t.Parallel()
	w := newProvenWorld(t)
	dir := filepath.Join(t.TempDir(), "state")
	cfg := w.config(t, fmt.Sprintf("checkpoint: %q, state: %q", w.root, dir))
	look := func() asked {
		s, err := newStack(cfg, nil, true, quietLogger())
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		return askPatiently(t, s, "alice.eth.")
	}
	if a := look(); a.origin == nil || a.origin.Trust != "proven" {
		t.Fatalf("got %+v", a.origin)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the state directory was made: %v", err)
	}
	s, err := newStack(cfg, nil, false, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	askPatiently(t, s, "alice.eth.")
	s.close()
	path := lightStatePath(dir, "demo", s.chain("demo").cfg.light.checkpoint)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if a := look(); a.origin.Proof.Beacon.Checkpoint != w.root {
		t.Errorf("got %+v", a.origin.Proof)
	}
	if after, err := os.Stat(path); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the state was written: %v, %v", after, err)
	}
}

// TestFallback: with a checkpoint that was too old at the start, and nothing else, a quorum vouches for
// blocks; and only where the configuration left it to dens who does.
func TestFallback(t *testing.T) {
	t.Parallel()
	w := newProvenWorld(t)
	checkpoint := fmt.Sprintf("checkpoint: %q, ", w.root)
	for name, tt := range map[string]struct {
		keys    string
		failing int
		started time.Duration // before now
		want    chain.AnchorSource
		err     error
	}{
		"young enough":               {checkpoint, 0, 0, chain.AnchorBeacon, nil},
		"too old":                    {checkpoint + "max_checkpoint_age: 1h", 0, 0, chain.AnchorQuorum, nil},
		"too old, of any age":        {checkpoint + "max_checkpoint_age: 0", 0, 0, chain.AnchorBeacon, nil},
		"too old, optimistic":        {checkpoint + "max_checkpoint_age: 1h, anchor: optimistic", 0, 0, chain.AnchorBeacon, beacon.ErrOldCheckpoint},
		"too old, finalized":         {checkpoint + "max_checkpoint_age: 1h, anchor: finalized", 0, 0, chain.AnchorBeacon, beacon.ErrOldCheckpoint},
		"too old, no quorum":         {checkpoint + "max_checkpoint_age: 1h, quorum: 3", 0, 0, chain.AnchorBeacon, beacon.ErrOldCheckpoint},
		"became too old since":       {checkpoint + "max_checkpoint_age: 1h", 0, 5 * time.Hour, chain.AnchorBeacon, beacon.ErrOldCheckpoint},
		"nobody has it":              {checkpoint + "max_checkpoint_age: 1h", http.StatusNotFound, 0, chain.AnchorBeacon, chain.ErrNotReady},
		"beacon APIs are broken":     {checkpoint + "max_checkpoint_age: 1h", http.StatusInternalServerError, 0, chain.AnchorBeacon, chain.ErrNotReady},
		"no checkpoint":              {"", 0, 0, chain.AnchorQuorum, nil},
		"no checkpoint, by its word": {"anchor: ''", http.StatusBadGateway, 0, chain.AnchorQuorum, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.failing.Store(int32(tt.failing))
			defer w.failing.Store(0)
			log := new(syncBuffer)
			cfg := w.config(t, tt.keys)
			s, err := newStack(cfg, nil, true, slog.New(slog.NewTextHandler(log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			c := s.chain("demo")
			if tt.started > 0 {
				c.light.started = time.Now().Add(-tt.started)
			}
			patience := time.Minute
			if tt.failing != 0 && tt.err != nil {
				patience = time.Second // it has it with others, too
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			anchor, err := c.anchors.Anchor(ctx)
			for !errors.Is(err, tt.err) && errors.Is(err, chain.ErrNotReady) && ctx.Err() == nil { // the machine may be busy
				anchor, err = c.anchors.Anchor(ctx)
			}
			if !errors.Is(err, tt.err) || err == nil && anchor.Source != tt.want {
				t.Fatalf("got %+v, %v, want %v, %v", anchor, err, tt.want, tt.err)
			}
			source, why := c.anchorInForce()
			if source != tt.want || source == chain.AnchorQuorum && why == "" || source == chain.AnchorBeacon && why != "" {
				t.Errorf("in force: %v, %q", source, why)
			}
			if loud := strings.Contains(log.String(), "level=ERROR msg=\"the checkpoint is too old: backends that agree"); loud != (c.light != nil && tt.want == chain.AnchorQuorum) {
				t.Errorf("log:\n%s", log)
			}
			if tt.err == nil {
				waitFor(t.Context(), time.Minute, func() bool { return c.part().Ready })
			}
			p := c.part()
			if p.Ready != (tt.err == nil) || p.Degraded != (c.light != nil && tt.want == chain.AnchorQuorum) || (p.Reason == "") != (p.Ready && !p.Degraded) {
				t.Errorf("part: %+v", p)
			}
			c.announce()
			if !strings.Contains(log.String(), "msg=\"in force\" chain=demo trust=proven backends=2 operators=2 anchor=\""+c.describeAnchor(tt.want)+"\"") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// TestProvenBySources: whoever vouches for the block, it is said.
func TestProvenBySources(t *testing.T) {
	t.Parallel()
	w := newProvenWorld(t)
	for keys, want := range map[string]string{
		fmt.Sprintf("checkpoint: %q, anchor: finalized", w.root): "proven, beacon anchor (finalized): 500 of 512 validators",
		"anchor: quorum":                   "proven, quorum anchor: a, b agree on the block",
		"trust: quorum, anchor: ''":        "quorum: a, b agree",
		"trust: single":                    "single: ",
		"anchor: trusted, max_head_age: 0": "proven, trusted anchor: a is believed about the block",
	} {
		t.Run(keys, func(t *testing.T) {
			text := keys
			if strings.HasPrefix(keys, "trust: ") || !strings.Contains(keys, "checkpoint") {
				text += ", network: '', beacon: []"
			}
			if strings.Contains(keys, "trusted") {
				text += fmt.Sprintf(", rpc: [{ url: %q, operator: a }]", w.HTTPURL())
			}
			cfg := w.configWithout(t, text)
			s, err := newStack(cfg, nil, true, quietLogger())
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			a := askPatiently(t, s, "alice.eth.")
			if len(a.msg.Answer) == 0 || a.origin == nil || !strings.HasPrefix(describeTrust(a.origin), want) {
				t.Fatalf("got %v, %+v, want %s", a.msg, a.origin, want)
			}
		})
	}
}

// configWithout is config without keys that keys give again.
func (w *provenWorld) configWithout(t *testing.T, keys string) *configs.Config {
	t.Helper()
	network, apis := fmt.Sprintf("network: %q, ", w.network), fmt.Sprintf("beacon: [%q], ", w.beacon.URL)
	rpc := fmt.Sprintf("rpc: [{ url: %q, operator: a }, { url: %q, operator: b }], ", w.HTTPURL(), w.WSURL())
	if strings.Contains(keys, "network:") {
		network, apis = "", ""
	}
	if strings.Contains(keys, "rpc:") {
		rpc = ""
	}
	return parseConfig(t, fmt.Sprintf("listen: { http: '' }\nchains: { demo: { id: %d, %s%s%s%s } }\nnames: [{ zone: eth, chain: demo, registry: %q, universal_resolver: %q }]\nresolve: { forward: [%q] }\n",
		w.ChainID(), network, apis, rpc, keys, w.Registry.Hex(), w.UniversalResolver.Hex(), w.DNS))
}

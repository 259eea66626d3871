package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/demo/consensus"
	"dens/internal/e2e/bed"
	"dens/resolver"
)

// wildData is what every name below alice.eth that has no records of its own is answered with in the demo.
const wildData = "192.0.2.12"

// signed is a beacon chain of a test's own that signs the shared world's blocks.
func signed(t testing.TB, config consensus.Config) *consensus.Chain {
	t.Helper()
	config.Head, config.Auto = world(t).Head, true
	return bed.StartBeacon(t, config)
}

// fresh asks for a name that nobody has asked for, and wants the right answer with a proof by the beacon chain.
func fresh(t testing.TB, server string) *resolver.Origin {
	t.Helper()
	name := freshName()
	got, origin := askFor(t, server, name, dns.TypeA, bits{ad: true})
	if got.Rcode != 0 || len(got.Answer) != 1 || bed.Data(got)[0] != wildData || !got.AuthenticatedData {
		t.Fatalf("%s: %v", name, got)
	}
	if checkProof(t, name, origin); t.Failed() {
		t.FailNow()
	}
	return origin
}

var names = struct {
	sync.Mutex
	given int
}{}

func freshName() string {
	names.Lock()
	defer names.Unlock()
	names.given++
	return fmt.Sprintf("n%d.alice.eth", names.given)
}

// unanswered asks for a name that nobody has asked for, and wants a failure of that code.
func unanswered(t testing.TB, server string, codes ...int) *dns.Msg {
	t.Helper()
	name := freshName()
	got, _ := askFor(t, server, name, dns.TypeA, bits{ad: true})
	if got.Rcode != dns.RcodeServerFailure || len(got.Answer) > 0 || got.AuthenticatedData {
		t.Fatalf("%s: %v, want SERVFAIL", name, got)
	}
	for _, code := range codes {
		if ede(got) == code {
			return got
		}
	}
	t.Fatalf("%s: %v, want an extended error of %v", name, bed.EDE(got), codes)
	return nil
}

// before is a genesis by which a slot begins in a while.
func before(slot uint64, in time.Duration) time.Time {
	return time.Now().Add(in).Add(-time.Duration(slot) * time.Second).Truncate(time.Second)
}

// TestBoundaries has dens answer while the beacon chain goes over the end of a period, or from one fork's
// rules to the next.
func TestBoundaries(t *testing.T) {
	t.Parallel()
	const (
		period = 2 * consensus.SlotsPerPeriod
		epoch  = period + 10*consensus.SlotsPerEpoch
	)
	forks := func(at uint64, after string) map[string]uint64 {
		f := map[string]uint64{}
		for _, name := range []string{"capella", "deneb", "electra", "fulu", "gloas"} {
			if f[name] = 0; name == after {
				f[name] = at / consensus.SlotsPerEpoch
				break
			}
		}
		return f
	}
	for name, c := range map[string]struct {
		slot          uint64
		before, after string // forks
		lag           uint64
	}{
		"a period ends, without finality":   {period, "fulu", "fulu", 1 << 20},
		"deneb to electra":                  {epoch, "deneb", "electra", 0},
		"electra to fulu at a period's end": {period, "electra", "fulu", 0},
		"fulu to gloas":                     {epoch, "fulu", "gloas", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var config consensus.Config
			if c.before != c.after {
				config.Forks = forks(c.slot, c.after)
			}
			s, first := serveBefore(t, config, c.slot, c.lag)
			if first.Fork != c.before {
				t.Errorf("before the boundary: %+v, want the rules of %s", first, c.before)
			}
			var last *resolver.BeaconProof
			bed.Wait(t, 40*time.Second, "blocks after the boundary", func() bool {
				time.Sleep(200 * time.Millisecond)
				last = fresh(t, s.DNS).Proof.Beacon
				return last.Slot > c.slot+1
			})
			if want := c.slot / consensus.SlotsPerPeriod; last.Fork != c.after || last.Period != want || last.Slot <= first.Slot || last.Checkpoint != first.Checkpoint {
				t.Errorf("after the boundary: %+v, want the rules of %s and period %d", last, c.after, want)
			}
			if behind := c.slot - uint64(metric(t, s, "dens_light_client_finalized_slot")); c.lag > 0 && behind < 32 {
				t.Errorf("/metrics: the final slot is %d behind, though finality has stopped", behind)
			}
		})
	}
}

// serveBefore starts dens over a beacon chain that has not come to a slot, but soon will, and returns the
// evidence of its first answer too.
func serveBefore(t *testing.T, config consensus.Config, slot, lag uint64) (*bed.Server, *resolver.BeaconProof) {
	t.Helper()
	for in := 4 * time.Second; in < time.Minute; in *= 2 { // longer on a busy machine
		config.Genesis = before(slot, in)
		chain := signed(t, config)
		chain.SetFinalityLag(lag)
		s := bed.Serve(t, provenConfig(t, world(t), chain, worldOptions{}))
		if first := fresh(t, s.DNS).Proof.Beacon; first.Slot < slot {
			return s, first
		}
	}
	t.Fatalf("no answer before slot %d", slot)
	return nil, nil
}

// TestRestart has dens go on from what it has persisted, when no beacon API has its checkpoint any more.
func TestRestart(t *testing.T) {
	t.Parallel()
	chain := signed(t, consensus.Config{})
	api := bed.NewBeaconAPI(t, chain)
	dir := t.TempDir()
	conf := provenConfig(t, world(t), chain, worldOptions{chainExt: fmt.Sprintf("    state: %q\n", dir)}, api.URL)
	first := bed.Serve(t, conf)
	began := fresh(t, first.DNS).Proof.Beacon
	sigterm(t, first.Process)
	if files := bed.StateFiles(t, dir); len(files) != 1 {
		t.Fatalf("state files: %v, want one of the light client", files)
	}
	api.SetRewrite(func(kind string, body []byte) []byte {
		if kind == "bootstrap" {
			return nil
		}
		return body
	})
	before := api.Requests("bootstrap")
	second := bed.Serve(t, conf)
	var after *resolver.BeaconProof
	bed.Wait(t, 20*time.Second, "blocks that are newer than before the restart", func() bool {
		after = fresh(t, second.DNS).Proof.Beacon // the first may be of the final block that was persisted
		return after.Slot > began.Slot
	})
	if now := api.Requests("bootstrap"); now != before || before == 0 {
		t.Errorf("%d bootstraps were asked for, and %d before the restart", now, before)
	}
	codes, err := os.ReadDir(dir + "/code")
	if err != nil || len(codes) == 0 {
		t.Errorf("no code was kept: %v", err)
	}
	sigterm(t, second.Process)

	without := bed.ServeUnready(t, strings.Replace(conf, dir, t.TempDir(), 1))
	unanswered(t, without.DNS, 14)
	if status, body := without.Get(t, "/readyz"); !strings.Contains(body, "light client") {
		t.Errorf("/readyz without a checkpoint: %d %s", status, body)
	}
}

// TestFinalizedAnchor has dens answer from final blocks only. An epoch begins in a while, from which on a
// newer one is due.
func TestFinalizedAnchor(t *testing.T) {
	t.Parallel()
	chain := ownWorld(t, consensus.Config{Genesis: before(consensus.SlotsPerPeriod+10*consensus.SlotsPerEpoch, 5*time.Second)})
	s := bed.Serve(t, provenConfig(t, chain, chain.Beacon, worldOptions{chainExt: "    anchor: finalized\n"}))
	first := fresh(t, s.DNS)
	if _, err := chain.Mine(); err != nil {
		t.Fatal(err)
	}
	if err := chain.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	newest := float64(chain.Beacon.Head().Slot)
	bed.Wait(t, 20*time.Second, "the light client sees the new block", func() bool { return metric(t, s, "dens_beacon_slot") >= newest })
	if o := fresh(t, s.DNS); o.BlockHash != first.BlockHash || !o.Proof.Beacon.Finalized {
		t.Errorf("block %d, which is not final, after %d", o.Block, first.Block)
	}
	if _, err := chain.Beacon.Finalize(); err != nil {
		t.Fatal(err)
	}
	bed.Wait(t, 40*time.Second, "answers of the block that became final", func() bool {
		time.Sleep(200 * time.Millisecond)
		o := fresh(t, s.DNS)
		return o.Block > first.Block && o.BlockHash == chain.Head().Hash().Hex() && o.Proof.Beacon.Finalized
	})
}

// ownWorld is a demo chain of a test's own, on which nothing happens by itself.
func ownWorld(t testing.TB, beacon consensus.Config) *demo.Chain {
	t.Helper()
	c, err := demo.Start(t.Context(), demo.Config{Period: -1, Beacon: beacon})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestOtherAnchors has others than the beacon chain vouch for blocks: because the configuration says so, or
// since the checkpoint is too old and nobody insisted on it.
func TestOtherAnchors(t *testing.T) {
	t.Parallel()
	chain := world(t)
	two := []string{chain.HTTPURL(), chain.WSURL()}
	old := "    max_checkpoint_age: 1h\n"
	for name, c := range map[string]struct {
		conf     string
		anchor   string
		vouchers int
		log      string // a regular expression
		ready    string // of /readyz
		info     string // of dens_chain_info
	}{
		"quorum": {worldConfig(chain, worldOptions{trust: "proven", rpc: two, chainExt: "    anchor: quorum\n"}),
			"quorum", 2, `in force.*anchor="quorum \(2 of 2 operators\)"`, `"ready":true,"trust":"proven","anchor":"quorum (2 of 2 operators)"`, `anchor="quorum (2 of 2 operators)"`},
		"trusted": {worldConfig(chain, worldOptions{trust: "proven", chainExt: "    anchor: trusted\n"}),
			"trusted", 1, `anchor: trusted: the newest block is whatever demo says`, `"ready":true,"trust":"proven","anchor":"trusted (demo)"`, `anchor="trusted (demo)"`},
		"no checkpoint": {worldConfig(chain, worldOptions{trust: "proven", rpc: two}),
			"quorum", 2, `in force.*because="no checkpoint is configured"`, `"ready":true,"trust":"proven","anchor":"quorum (2 of 2 operators)"`, `anchor="quorum (2 of 2 operators)"`},
		"an old checkpoint": {provenConfig(t, chain, chain.Beacon, worldOptions{rpc: two, chainExt: old}),
			"quorum", 2, `the checkpoint is too old: backends that agree vouch for blocks`, `backends that agree vouch for blocks, not Ethereum's consensus`, `anchor="quorum (2 of 2 operators)"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := bed.Serve(t, c.conf)
			name := freshName()
			got, o := askFor(t, s.DNS, name, dns.TypeA, bits{ad: true})
			if len(got.Answer) != 1 || bed.Data(got)[0] != wildData || !got.AuthenticatedData {
				t.Fatalf("%s: %v", name, got)
			}
			if o.Trust != "proven" || o.Proof == nil || o.Proof.Anchor != c.anchor || o.Proof.Beacon != nil || len(o.Proof.Vouchers) != c.vouchers {
				t.Errorf("%s: %+v with %+v", name, o, o.Proof)
			}
			mustMatch(t, "the log", s.Log(), c.log)
			if status, body := s.Get(t, "/readyz"); status != 200 || !strings.Contains(body, c.ready) {
				t.Errorf("/readyz: %d %s, want %s", status, body, c.ready)
			}
			if metric(t, s, "dens_chain_info", c.info, `trust="proven"`) != 1 {
				_, body := s.Get(t, "/metrics")
				t.Errorf("/metrics has no %s:\n%s", c.info, body)
			}
			out := runDens(t, nil, "lookup", "--config", s.File, "--trust", freshName())
			mustMatch(t, "lookup --trust", out.stdout, `(?m)^  trust\s+proven, `+c.anchor+` anchor`)
		})
	}
	t.Run("an old checkpoint that is insisted on", func(t *testing.T) {
		s := bed.ServeUnready(t, provenConfig(t, chain, chain.Beacon, worldOptions{rpc: two, chainExt: old + "    anchor: optimistic\n"}))
		got := unanswered(t, s.DNS, 14)
		if text := bed.EDE(got).ExtraText; !strings.Contains(text, "checkpoint") {
			t.Errorf("the extended error says %q, and nothing of the checkpoint", text)
		}
	})
}

package light

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

func TestNamed(t *testing.T) {
	tests := []struct {
		name      string
		slots     uint64 // of a period
		at        string // a moment, its slot and the fork then
		slot      uint64
		fork      string
		supermaj  int
		electra   uint64
		electraBy [4]byte
	}{
		{"mainnet", 8192, "2025-05-07T10:05:11Z", 364032 * 32, "electra", 342, 364032, [4]byte{5, 0, 0, 0}},
		{"mainnet", 8192, "2025-12-03T21:49:11Z", 411392 * 32, "fulu", 342, 364032, [4]byte{5, 0, 0, 0}},
		{"sepolia", 8192, "2026-10-06T13:53:36Z", 353024 * 32, "gloas", 342, 222464, [4]byte{0x90, 0, 0, 0x74}},
		{"hoodi", 8192, "2025-03-26T14:37:12Z", 2048 * 32, "electra", 342, 2048, [4]byte{0x60, 0, 0x09, 0x10}},
		{"gnosis", 8192, "2026-04-14T12:06:20Z", 1714688 * 16, "fulu", 342, 1337856, [4]byte{5, 0, 0, 0x64}},
	}
	for _, test := range tests {
		n, ok := Named(test.name)
		if !ok {
			t.Fatalf("%s is not known", test.name)
		}
		if err := n.check(); err != nil {
			t.Error(err)
		}
		for _, f := range n.Forks {
			if rank(f.Name) < 0 {
				t.Errorf("%s: %s is scheduled, but its rules are not known here", test.name, f.Name)
			}
		}
		at, _ := time.Parse(time.RFC3339, test.at)
		if got := n.Slot(at); got != test.slot || !n.SlotStart(got).Equal(at) || n.Slot(at.Add(-1)) != test.slot-1 {
			t.Errorf("%s: slot %d at %v, which starts at %v; expected %d", test.name, got, at, n.SlotStart(got), test.slot)
		}
		if got := n.Fork(test.slot).Name; got != test.fork || n.Fork(test.slot-1).Name == test.fork {
			t.Errorf("%s: %s at slot %d, %s before", test.name, got, test.slot, n.Fork(test.slot-1).Name)
		}
		if n.Period(test.slots*7-1) != 6 || n.Period(test.slots*7) != 7 || n.Supermajority() != test.supermaj {
			t.Errorf("%s: periods %d, %d; supermajority %d", test.name, n.Period(test.slots*7-1), n.Period(test.slots*7), n.Supermajority())
		}
		if f := n.Fork(test.electra * n.SlotsPerEpoch); f.Name != "electra" || f.Epoch != test.electra || f.Version != test.electraBy {
			t.Errorf("%s: electra is %+v", test.name, f)
		}
		if n.Forks[0].Name != "phase0" || n.Name != test.name {
			t.Errorf("%s: %+v", n.Name, n.Forks[0])
		}
		n.Forks[0].Name = "changed"
		if again, _ := Named(test.name); again.Forks[0].Name != "phase0" {
			t.Error("networks share their forks")
		}
	}
	if _, ok := Named("goerli"); ok {
		t.Error("goerli is known")
	}
}

func TestSlots(t *testing.T) {
	n := small()
	tests := []struct {
		at   time.Duration
		slot uint64
	}{{-time.Hour, 0}, {-1, 0}, {0, 0}, {6*time.Second - 1, 0}, {6 * time.Second, 1}, {time.Hour, 600}}
	for _, test := range tests {
		if got := n.Slot(n.Genesis.Add(test.at)); got != test.slot {
			t.Errorf("%v after genesis: slot %d, expected %d", test.at, got, test.slot)
		}
	}
	far := n.SlotStart(math.MaxUint64)
	if far.Before(n.SlotStart(1<<30)) || !far.Equal(n.SlotStart(math.MaxUint64/2)) {
		t.Errorf("the last slot starts at %v", far)
	}
	if n.Slot(n.Genesis.Add(math.MaxInt64).Add(time.Hour)) < 1<<30 {
		t.Error("the far future is near")
	}
	for size, want := range map[int]int{512: 342, 32: 22, 8: 6} {
		if got := (&Network{CommitteeSize: size}).Supermajority(); got != want || 3*got < 2*size || 3*(got-1) >= 2*size {
			t.Errorf("supermajority of %d is %d, expected %d", size, got, want)
		}
	}
}

func TestNetworkCheck(t *testing.T) {
	tests := []struct {
		name   string
		change func(n *Network)
	}{
		{"no slot time", func(n *Network) { n.SlotTime = 0 }},
		{"negative slot time", func(n *Network) { n.SlotTime = -time.Second }},
		{"no epochs", func(n *Network) { n.SlotsPerEpoch = 0 }},
		{"no periods", func(n *Network) { n.EpochsPerPeriod = 0 }},
		{"endless periods", func(n *Network) { n.EpochsPerPeriod = math.MaxUint64 }},
		{"no committee", func(n *Network) { n.CommitteeSize = 0 }},
		{"odd committee", func(n *Network) { n.CommitteeSize = 500 }},
		{"vast committee", func(n *Network) { n.CommitteeSize = 1 << 30 }},
		{"no fork", func(n *Network) { n.Forks = nil }},
		{"late first fork", func(n *Network) { n.Forks = n.Forks[5:] }},
		{"forks in disorder", func(n *Network) { n.Forks[4], n.Forks[5] = n.Forks[5], n.Forks[4] }},
	}
	for _, test := range tests {
		n := small()
		test.change(n)
		_, first := DecodeBootstrap(n, nil)
		_, second := DecodeUpdates(n, nil)
		_, third := DecodeOptimisticUpdate(n, nil)
		_, fourth := UnmarshalStore(n, nil)
		for _, err := range []error{n.check(), first, second, third, fourth} {
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "network: ") {
				t.Errorf("%s: %v", test.name, err)
			}
		}
	}
}

const gnosisConfig = `# Gnosis Beacon Chain config
CONFIG_NAME: 'gnosis'
PRESET_BASE: 'gnosis'
TERMINAL_TOTAL_DIFFICULTY: 8626000000000000000000058750000000000000000000
MIN_GENESIS_TIME: 1638968400
GENESIS_TIME: 1638993340
GENESIS_VALIDATORS_ROOT: 0xf5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47
GENESIS_FORK_VERSION: 0x00000064
ALTAIR_FORK_VERSION: 0x01000064
ALTAIR_FORK_EPOCH: 512
BELLATRIX_FORK_VERSION: 0x02000064
BELLATRIX_FORK_EPOCH: 385536
CAPELLA_FORK_VERSION: "0x03000064"
CAPELLA_FORK_EPOCH: "648704"
DENEB_FORK_VERSION: 0x04000064
DENEB_FORK_EPOCH: 889856 # 2024-03-11T18:30:20.000Z
ELECTRA_FORK_VERSION: 0x05000064
ELECTRA_FORK_EPOCH: 1337856
FULU_FORK_VERSION: 0x06000064
FULU_FORK_EPOCH: 1714688
GLOAS_FORK_VERSION: 0x07000064
GLOAS_FORK_EPOCH: 18446744073709551615
EIP7928_FORK_VERSION: 0xb0000038
EIP7928_FORK_EPOCH: 18446744073709551615
EIP7XXX_FORK_VERSION:
EIP7XXX_FORK_EPOCH:
SECONDS_PER_SLOT: 5
BLOB_SCHEDULE:
  - EPOCH: 1337856
    MAX_BLOBS_PER_BLOCK: 2
`

func TestParseNetwork(t *testing.T) {
	n, err := ParseNetwork("gnosis", []byte(gnosisConfig))
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := Named("gnosis"); !reflect.DeepEqual(n, want) {
		t.Errorf("found %+v, expected what is built in: %+v", n, want)
	}
	edit := func(pairs ...string) []byte { return []byte(strings.NewReplacer(pairs...).Replace(gnosisConfig)) }
	n, err = ParseNetwork("mine", edit("'gnosis'", "minimal", "SECONDS_PER_SLOT: 5\n", "SLOT_DURATION_MS: 250\n",
		"EIP7928_FORK_EPOCH: 18446744073709551615", "EIP7928_FORK_EPOCH: 1714688"))
	if err != nil {
		t.Fatal(err)
	}
	if n.SlotTime != 250*time.Millisecond || n.SlotsPerEpoch != 8 || n.EpochsPerPeriod != 8 || n.CommitteeSize != 32 || n.Supermajority() != 22 || n.Name != "mine" {
		t.Errorf("minimal: %+v", n)
	}
	if f := n.Fork(1714688 * 8); f.Name != "eip7928" || f.Version != [4]byte{0xb0, 0, 0, 0x38} {
		t.Errorf("the fork that is not known is %+v", f)
	}
	if _, err := n.rules(1714688 * 8); !errors.Is(err, ErrFork) || !strings.Contains(err.Error(), "eip7928") || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("%v, expected ErrFork", err)
	}
	// As Gnosis itself publishes it: another preset's name, with the differences beside it.
	n, err = ParseNetwork("gnosis", append(edit("'gnosis'", "mainnet"), "SLOTS_PER_EPOCH: 16\nEPOCHS_PER_SYNC_COMMITTEE_PERIOD: 512\nSYNC_COMMITTEE_SIZE: 512\n"...))
	if want, _ := Named("gnosis"); err != nil || !reflect.DeepEqual(n, want) {
		t.Errorf("found %+v, %v", n, err)
	}
	n, err = ParseNetwork("mine", edit("'gnosis'", "mainnet", "SECONDS_PER_SLOT: 5\n", ""))
	if err != nil || n.SlotTime != 12*time.Second || n.SlotsPerEpoch != 32 || n.EpochsPerPeriod != 256 {
		t.Errorf("mainnet: %+v, %v", n, err)
	}
}

func TestParseNetworkErrors(t *testing.T) {
	tests := []struct{ from, to, want string }{
		{"PRESET_BASE: 'gnosis'", "PRESET_BASE: big", `line 3: PRESET_BASE: found "big", expected mainnet, gnosis or minimal`},
		{"PRESET_BASE: 'gnosis'", "", "PRESET_BASE is missing"},
		{"GENESIS_TIME: 1638993340", "GENESIS_TIME: yesterday", `line 6: GENESIS_TIME: found "yesterday", expected a number`},
		{"GENESIS_TIME: 1638993340", "GENESIS_TIME: -5", `line 6: GENESIS_TIME: found "-5"`},
		{"\nGENESIS_TIME: 1638993340", "", "GENESIS_TIME is missing"},
		{"9d47\n", "9d\n", "line 7: GENESIS_VALIDATORS_ROOT: found"},
		{"0xf5dc", "f5dc", "expected 0x and 64 hex digits"},
		{"0xf5dc", "0xg5dc", "expected 0x and 64 hex digits"},
		{"0xf5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47", common.Hash{}.Hex(), "GENESIS_VALIDATORS_ROOT is zero"},
		{"GENESIS_VALIDATORS_ROOT", "GENESIS_VALIDATOR_ROOT", "GENESIS_VALIDATORS_ROOT is missing"},
		{"GENESIS_FORK_VERSION: 0x00000064", "", "GENESIS_FORK_VERSION is missing, expected 0x and 8 hex digits"},
		{"DENEB_FORK_VERSION: 0x04000064", "DENEB_FORK_VERSION: 0x0400006", "line 15: DENEB_FORK_VERSION"},
		{"DENEB_FORK_EPOCH: 889856", "DENEB_FORK_EPOCH: 88985x", "line 16: DENEB_FORK_EPOCH"},
		{"DENEB_FORK_EPOCH: 889856", "DENEB_FORK_EPOCH: 648703", "at least 648704, the epoch of capella"},
		{"DENEB_FORK_EPOCH: 889856", "DENEB_FORK_EPOCH: 18446744073709551615", "DENEB_FORK_EPOCH: found \"18446744073709551615\", expected an epoch"},
		{"DENEB_FORK_EPOCH: 889856", "", "DENEB_FORK_EPOCH is missing"},
		{"ALTAIR_FORK_EPOCH: 512", "", "ALTAIR_FORK_EPOCH is missing"},
		{"FULU_FORK_VERSION: 0x06000064", "", "FULU_FORK_VERSION is missing"},
		{"EIP7928_FORK_EPOCH: 18446744073709551615", "EIP7928_FORK_EPOCH: many", `line 24: EIP7928_FORK_EPOCH: found "many"`},
		{"EIP7XXX_FORK_EPOCH:", "EIP7XXX_FORK_EPOCH: 5", "EIP7XXX_FORK_VERSION is missing"},
		{"SECONDS_PER_SLOT: 5", "SECONDS_PER_SLOT: 0", "line 27: SECONDS_PER_SLOT: found \"0\", expected a number from 1 to 3600"},
		{"SECONDS_PER_SLOT: 5", "SECONDS_PER_SLOT: 5\nSLOT_DURATION_MS: 6000", "line 28: SLOT_DURATION_MS: found \"6000\", expected 5000"},
		{"SECONDS_PER_SLOT: 5", "SLOTS_PER_EPOCH: 99999", "line 27: SLOTS_PER_EPOCH"},
		{"SECONDS_PER_SLOT: 5", "SYNC_COMMITTEE_SIZE: 500", "committees of 500"},
		{"SECONDS_PER_SLOT: 5", "ALTAIR_FORK_EPOCH: 513", `line 27: "ALTAIR_FORK_EPOCH" was set in line 10 already`},
		{"EIP7928_FORK_EPOCH: 18446744073709551615", "eip7928_FORK_EPOCH: 5", "line 24: eip7928_FORK_EPOCH: found \"5\", expected a name in capitals"},
		{"EIP7928_FORK_EPOCH: 18446744073709551615", "_FORK_EPOCH: 5", "expected a name in capitals"},
		{"BLOB_SCHEDULE:", "\tBLOB_SCHEDULE:", "yaml"},
	}
	for _, test := range tests {
		if !strings.Contains(gnosisConfig, test.from) {
			t.Fatalf("%q is not in the configuration", test.from)
		}
		_, err := ParseNetwork("x", []byte(strings.Replace(gnosisConfig, test.from, test.to, 1)))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, expected %s", test.to, err, test.want)
		}
	}
	var many strings.Builder
	for i := range 70 {
		fmt.Fprintf(&many, "EIP%d_FORK_EPOCH: 5\nEIP%d_FORK_VERSION: 0x00000000\n", i, i)
	}
	for _, config := range []string{"", "- a\n- b\n", "a", "&a [*a, *a]", strings.Repeat("[", 20_000), strings.Repeat("x", maxConfig+1), gnosisConfig + many.String()} {
		if _, err := ParseNetwork("x", []byte(config)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40q: %v, expected ErrMalformed", config, err)
		}
	}
}

func FuzzParseNetwork(f *testing.F) {
	f.Add([]byte(gnosisConfig))
	f.Add([]byte(strings.ReplaceAll(gnosisConfig, "'gnosis'", "minimal")))
	f.Add([]byte("a: &a [*a]\nb: {<<: *a}\n"))
	f.Fuzz(func(t *testing.T, config []byte) {
		n, err := ParseNetwork("fuzz", config)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%v, expected ErrMalformed", err)
			}
			return
		}
		if err := n.check(); err != nil {
			t.Error(err)
		}
		// What it says, written anew, is read the same.
		again, err := ParseNetwork("fuzz", render(n))
		if err != nil || !reflect.DeepEqual(n, again) {
			t.Errorf("%+v is read again as %+v, %v", n, again, err)
		}
	})
}

// render writes a network as a config.yaml.
func render(n *Network) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "PRESET_BASE: mainnet\nGENESIS_TIME: %d\nGENESIS_VALIDATORS_ROOT: %v\nSLOT_DURATION_MS: %d\n",
		n.Genesis.Unix(), n.ValidatorsRoot, n.SlotTime.Milliseconds())
	fmt.Fprintf(&b, "SLOTS_PER_EPOCH: %d\nEPOCHS_PER_SYNC_COMMITTEE_PERIOD: %d\nSYNC_COMMITTEE_SIZE: %d\n", n.SlotsPerEpoch, n.EpochsPerPeriod, n.CommitteeSize)
	for _, f := range n.Forks {
		name := strings.ToUpper(f.Name)
		if name == "PHASE0" {
			fmt.Fprintf(&b, "GENESIS_FORK_VERSION: 0x%x\n", f.Version)
			continue
		}
		fmt.Fprintf(&b, "%q: %d\n%q: 0x%x\n", name+"_FORK_EPOCH", f.Epoch, name+"_FORK_VERSION", f.Version)
	}
	return []byte(b.String())
}

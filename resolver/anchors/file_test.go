package anchors

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// sample is a state of every kind.
func sample(t testing.TB) []point {
	at := func(days int) time.Time { return start.Add(time.Duration(days) * day) }
	one := func(state State, named bool) key {
		k, ok := readKey(ksk(t, ".").Key)
		if !ok {
			t.Fatal("not a key")
		}
		k.state, k.named, k.since, k.seen = state, named, at(1), at(2)
		if state == AddPend {
			k.until = at(31)
		}
		return k
	}
	return []point{
		{zone: ".", checked: at(2), next: at(3), keys: []key{one(AddPend, false), one(Valid, true), one(Missing, false), one(Revoked, true), one(Removed, false)}},
		{zone: `a\ b\.c.example.`, keys: []key{one(Valid, true)}},
		{zone: "empty.example."},
	}
}

func TestStateRoundTrip(t *testing.T) {
	want := sample(t)
	got, err := parseState(formatState(want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestBrokenState(t *testing.T) {
	const key = "key Valid since=2026-11-21T10:00:00Z until=- seen=- from=config 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
	file := func(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
	tests := []struct{ name, text, want string }{
		{"empty", "", "line 1: found \"the end of the file\""},
		{"another file", file("; x", ". IN DS 1 2 3 00"), `line 2: found ". IN DS 1 2 3 00", expected "dens-anchors 1"`},
		{"another version", file("dens-anchors 2", "end"), "line 1"},
		{"cut short", file(stateMagic, "zone . checked=- next=-", key), "cut short"},
		{"cut in a line", stateMagic + "\nzone . checked=- ne", "line 2"},
		{"something after the end", file(stateMagic, "end", "zone . checked=- next=-"), "line 3"},
		{"unknown word", file(stateMagic, "zones", "end"), `expected "zone", "key" or "end"`},
		{"key before zone", file(stateMagic, key, "end"), `"zone" before the first "key"`},
		{"relative zone", file(stateMagic, "zone example checked=- next=-", "end"), "absolute domain name"},
		{"bad zone", file(stateMagic, "zone a..b. checked=- next=-", "end"), "absolute domain name"},
		{"zone twice", file(stateMagic, "zone . checked=- next=-", "zone . checked=- next=-", "end"), "each zone once"},
		{"bad time", file(stateMagic, "zone . checked=yesterday next=-", "end"), "times such as"},
		{"local time", file(stateMagic, "zone . checked=2026-11-21T10:00:00+01:00 next=-", "end"), "times such as"},
		{"key twice", file(stateMagic, "zone . checked=- next=-", key, key, "end"), "line 4"},
		{"state", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, "Valid", "Trusted", 1), "end"), "expected a state"},
		{"pending for ever", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, "Valid", "AddPend", 1), "end"), "until=TIME for AddPend"},
		{"time of a key", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, "since=", "seit=", 1), "end"), "since=TIME"},
		{"origin", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, "from=config", "from=me", 1), "end"), "from=config or from=zone"},
		{"flags", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, "257", "385", 1), "end"), "not revoked"},
		{"protocol", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, " 3 15", " 2 15", 1), "end"), "protocol 3"},
		{"algorithm", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, " 3 15", " 3 300", 1), "end"), "algorithm number"},
		{"base64", file(stateMagic, "zone . checked=- next=-", strings.Replace(key, "l02", "!02", 1), "end"), "public key in base64"},
		{"fields", file(stateMagic, "zone . checked=- next=-", key+" x", "end"), "line 3"},
		{"long line", file(stateMagic, "; "+strings.Repeat("x", maxStateLine), "end"), "line 2"},
		{"long file", strings.Repeat("\n", maxState+1), "more than"},
		{"zones", manyZones(), "at most 2000 zones"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseState([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
	if _, err := parseState([]byte(file(stateMagic, "", "  ; note", "zone . checked=- next=-", key, "end", ""))); err != nil {
		t.Errorf("the rows break what is not good to begin with: %v", err)
	}
}

func manyZones() string {
	points := make([]point, maxStateZones+1)
	for i := range points {
		points[i].zone = strings.Repeat("a.", i%50+1) + string(rune('a'+i/50%26)) + string(rune('a'+i/1300)) + "."
	}
	return string(formatState(points))
}

// FuzzState: what is read can be written, and reads the same; what is written is stable.
func FuzzState(f *testing.F) {
	f.Add(formatState(sample(f)))
	f.Add([]byte(stateMagic + "\nzone . checked=- next=-\nend\n"))
	f.Add([]byte("zone"))
	f.Add([]byte(stateMagic + "\nzone \\032.\\255. checked=0000-01-01T00:00:00Z next=9999-12-31T23:59:59Z\nend"))
	f.Fuzz(func(t *testing.T, text []byte) {
		points, err := parseState(text)
		if err != nil {
			if points != nil {
				t.Fatal("points beside an error")
			}
			return
		}
		again := formatState(points)
		back, err := parseState(again)
		if err != nil {
			t.Fatalf("%v in\n%s", err, again)
		}
		if !reflect.DeepEqual(points, back) || !bytes.Equal(again, formatState(back)) {
			t.Fatalf("read %+v, then %+v", points, back)
		}
		for _, p := range points {
			if len(p.trust().Keys) > len(p.keys) {
				t.Fatal("more anchors than keys")
			}
		}
	})
}

func TestLoadErrors(t *testing.T) {
	good := dnssec.NewDS(ksk(t, ".").Key, dns.SHA256).String() + "\n"
	dir := t.TempDir()
	path := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct {
		name, file, state string
		want              []string
	}{
		{"no anchor file", filepath.Join(dir, "none"), "", []string{"none", "no such file", "expected DS or DNSKEY"}},
		{"a directory", dir, "", []string{dir, "is a directory"}},
		{"an empty anchor file", path("empty", "; nothing\n"), "", []string{"empty", "no DS or DNSKEY record", "expected DS or DNSKEY"}},
		{"a broken anchor file", path("broken", good+". IN DS x 8 2 00\n"), "", []string{"broken", "line: 2", `"x"`}},
		{"another type", path("type", ". IN A 192.0.2.1\n"), "", []string{"type", "not DS or DNSKEY"}},
		{"an empty DS", path("bare", ". IN DS\n"), "", []string{"bare", "no anchor of . is of an algorithm"}},
		{"unknown kinds only", path("kinds", good+"x. IN DS 1 99 2 "+strings.Repeat("00", 32)+"\nx. IN DS 1 8 99 00\n"), "",
			[]string{"kinds", "no anchor of x. is of an algorithm"}},
		{"no directory for the state", path("good", good), filepath.Join(dir, "sub", "state"), []string{"sub", "does not exist", "make it"}},
		{"a directory as the state", path("good", good), dir, []string{dir, "is not a file"}},
		{"a broken state", path("good", good), path("state", "dens-anchors 1\nzone\nend\n"), []string{"state", "line 2", "move it away"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Config{File: tt.file, State: tt.state})
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q in it", err, want)
				}
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestStateFile(t *testing.T) {
	a, b := ksk(t, "."), ksk(t, ".")
	w := newWorld(t, a)
	info, err := os.Stat(w.state())
	if err != nil {
		t.Fatalf("a fresh start wrote no state: %v", err)
	}
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
	w.publish(signers(a, b), signers(a))
	w.pass(20)
	if err := os.Remove(w.state()); err != nil {
		t.Fatal(err)
	}
	w.restart() // begins again: the hold-down too
	w.want(b, 0)
	w.pass(30)
	w.want(b, AddPend)
	w.pass(1)
	w.want(b, Valid)

	text, err := os.ReadFile(w.state())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(text)-1; i += 7 { // cut short anywhere
		w.write("state", string(text[:i]))
		if _, err := Load(w.config()); err == nil || !strings.Contains(err.Error(), w.state()) {
			t.Fatalf("cut to %d of %d bytes: error %v", i, len(text), err)
		}
	}
}

// TestStateCannotBeKept: the anchors move on all the same, and everybody is told.
func TestStateCannotBeKept(t *testing.T) {
	a, b := ksk(t, "."), ksk(t, ".")
	w := newWorld(t, a, b)
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(w.dir, away); err != nil {
		t.Fatal(err)
	}
	w.publish(signers(revoked(a), b), signers(revoked(a), b))
	w.mustRefresh()
	w.want(a, Revoked)
	if st := w.store.Status()[0]; !strings.Contains(st.Error, "does not exist") {
		t.Errorf("status %+v", st)
	}
	if err := os.Rename(away, w.dir); err != nil {
		t.Fatal(err)
	}
	w.mustRefresh()
	if st := w.store.Status()[0]; st.Error != "" {
		t.Errorf("status %+v", st)
	}
	w.restart()
	w.want(a, Revoked)
}

func TestFileReplacesOnlyItsZones(t *testing.T) {
	k := ksk(t, "corp.example.")
	w := newWorld(t, k)
	_, trust, ok := w.store.Anchors().For(".")
	if !ok || len(trust.DS) != 2 {
		t.Errorf("the root's: %v", trust)
	}
	w.wantTrust(k, true)
	r := ksk(t, ".")
	w.configure(r)
	w.restart()
	_, trust, _ = w.store.Anchors().For("x.corp.example.")
	if len(trust.DS) != 1 || trust.DS[0].KeyTag != r.Key.KeyTag() {
		t.Errorf("the root's: %v", trust)
	}
}

package localroot

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func textOf(rrs []dns.RR) string {
	var b strings.Builder
	for _, rr := range rrs {
		b.WriteString(rr.String() + "\n")
	}
	return b.String()
}

func writeFile(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	r := newRoot(t)
	path := filepath.Join(t.TempDir(), "root.zone")
	writeFile(t, path, textOf(r.zone(1)), start.Add(-time.Hour))
	now := start
	z := r.zoneFrom(t, Config{File: path, Now: func() time.Time { return now }})
	z.begin()
	if st := z.Status(); !st.Ready || st.Serial != 1 || !st.Checked.Equal(start.Add(-time.Hour)) {
		t.Fatalf("%+v", st)
	}
	first := z.current.Load()
	if err := z.refresh(t.Context()); err != nil || z.current.Load() != first {
		t.Errorf("a file that did not change was read again: %v", err)
	}
	writeFile(t, path, textOf(r.zone(2)), now.Add(time.Hour)) // written by somebody whose clock is ahead
	if err := z.refresh(t.Context()); err != nil || z.Status().Serial != 2 || z.Status().Checked.After(now) {
		t.Errorf("%v, %+v", err, z.Status())
	}
	now = now.Add(time.Hour)
	writeFile(t, path, "com. 5 IN A x\n", now)
	if err := z.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "line: 1") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if !z.Ready() {
		t.Error("a broken file took the good copy away")
	}
	now = now.Add(7 * 24 * time.Hour)
	writeFile(t, path, textOf(r.zone(2)), start)
	if err := z.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "expired at") || z.Ready() {
		t.Errorf("ready: %v, error %v", z.Ready(), err)
	}
	os.Remove(path)
	if err := z.refresh(t.Context()); err == nil {
		t.Error("no error without a file")
	}
}

// TestFileThenServers: what is on disk serves until the servers have something newer.
func TestFileThenServers(t *testing.T) {
	r := newRoot(t)
	dir := t.TempDir()
	file, cache := filepath.Join(dir, "root.zone"), filepath.Join(dir, "cache.zone")
	writeFile(t, file, textOf(r.zone(3)), start)
	writeFile(t, cache, "broken", start)
	p := newPrimary(t, r.zone(3))
	z := r.zoneFrom(t, Config{File: file, Cache: cache, Servers: []netip.AddrPort{p.addr}})
	z.begin()
	if st := z.Status(); st.Serial != 3 {
		t.Fatalf("%+v", st)
	}
	if err := z.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, axfrs := p.counts(); axfrs != 0 {
		t.Errorf("%d transfers of what is there", axfrs)
	}
	p.set(func() { p.zone = r.zone(4) })
	if err := z.refresh(t.Context()); err != nil || z.Status().Serial != 4 {
		t.Fatalf("%v, %+v", err, z.Status())
	}
	again := r.zoneFrom(t, Config{File: file, Cache: cache, Servers: []netip.AddrPort{p.addr}})
	again.begin()
	if st := again.Status(); st.Serial != 4 {
		t.Errorf("the newer copy on disk was not taken: %+v", st)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.zone = r.zone(5) })
	if err := z.refresh(t.Context()); err != nil || z.Status().Serial != 5 {
		t.Errorf("a cache that cannot be written to stops the refresh: %v, %+v", err, z.Status())
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "expected a file or servers"},
		{Config{File: filepath.Join(dir, "none")}, "no such file"},
		{Config{File: dir}, "is not a file"},
	} {
		if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q in it", err, tt.want)
		}
	}
}

func TestParseZone(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an include", "$INCLUDE /etc/passwd\n", "not a master file"},
		{"too many records", "$TTL 5\n$GENERATE 1-101 a$ A 192.0.2.1\n", "larger than 100 records"},
		{"records too large", "$TTL 5\n$GENERATE 1-90 a$ TXT " + strings.Repeat("x", 250) + "\n", "or 20000 bytes"},
		{"text too long", ";" + strings.Repeat("x", 20000) + "\n", "or 20000 bytes"},
		{"as large as it may be", "$TTL 5\n$GENERATE 1-100 a$ A 192.0.2.1\n", ""},
	} {
		rrs, err := parseBounded(strings.NewReader(tt.text), 100, 20000)
		if tt.want == "" && (err != nil || len(rrs) != 100) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %d records, error %v", tt.name, len(rrs), err)
		}
	}
}

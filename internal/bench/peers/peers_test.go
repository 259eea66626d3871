package peers

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dens/internal/bench/load"
)

func TestSelect(t *testing.T) {
	tests := []struct {
		names, want, reason string
	}{
		{"unbound", "unbound", ""},
		{"dens", "unbound dens", ""},
		{"coredns,unbound,dens", "unbound coredns dens", ""},
		{"dens,nobody", "", `no server "nobody"`},
		{"", "", `no server ""`},
	}
	for _, tt := range tests {
		list, err := Select(strings.Split(tt.names, ","))
		if err != nil != (tt.reason != "") || err != nil && !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%q: %v, want %q", tt.names, err, tt.reason)
		}
		var names []string
		for _, p := range list {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.names, got, tt.want)
		}
	}
	if all, err := Select(Names()); err != nil || len(all) != len(All()) {
		t.Errorf("all: %d of %d, %v", len(all), len(All()), err)
	}
}

func TestPlans(t *testing.T) {
	site := Site{
		Addr: netip.MustParseAddr("127.0.1.9"), Upstream: netip.MustParseAddrPort("127.0.0.1:5300"), Dir: "/site",
		Cert: "/site/cert.pem", Key: "/site/key.pem", Entries: 7654321,
	}
	for _, p := range All() {
		t.Run(p.Name, func(t *testing.T) {
			what := p.plan(site)
			var text string
			for _, file := range what.files {
				text += file
			}
			wanted := []string{"127.0.1.9", "127.0.0.1", "5300"}
			if p.Speaks(load.DoT) {
				wanted = append(wanted, site.Cert, site.Key, "853", "443")
			}
			for _, want := range wanted {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in:\n%s", want, text)
				}
			}
			if strings.Contains(text, "%!") {
				t.Errorf("ill-made:\n%s", text)
			}
			if !strings.Contains(strings.Join(what.arguments, " "), site.Dir) {
				t.Errorf("not told where its files are: %q", what.arguments)
			}
		})
	}
}

// script is a server made of a shell script.
func script(text string) Peer {
	return Peer{Name: "script", Program: "/bin/sh", plan: func(s Site) plan {
		return plan{files: map[string]string{"run": text}, arguments: []string{filepath.Join(s.Dir, "run")}, env: []string{"GREETING=well"}, processes: 2}
	}}
}

func TestStartAndStop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r, err := script("echo $GREETING $$ >> began; trap 'exit 0' TERM; while :; do sleep 0.01; done").Start(Site{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.PIDs()); n != 2 {
		t.Errorf("%d processes, want 2", n)
	}
	if err := r.Ended(); err != nil {
		t.Error(err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if err := r.Ended(); err == nil {
		t.Error("it has not ended")
	}
}

func TestWaitReadyOfAServerThatEnds(t *testing.T) {
	r, err := script("echo out of order >&2; exit 3").Start(Site{Dir: t.TempDir(), Addr: netip.MustParseAddr("127.0.1.250")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.WaitReady(context.Background())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("got %v", err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartOfWhatIsNotThere(t *testing.T) {
	_, err := Peer{Name: "ghost", Program: "no-such-program", plan: func(Site) plan { return plan{} }}.Start(Site{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "ghost") {
		t.Errorf("got %v", err)
	}
}

func TestVersion(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"echo Version 1.17.1; exit 1":                    "1.17.1",
		"echo BIND 9.18.49-1~deb12u3 >&2":                "9.18.49",
		"echo 'Nov 21 15:48:11 PowerDNS Recursor 4.8.8'": "4.8.8",
		"echo dens dev go1.26.8":                         "",
		"exit 1":                                         "",
	} {
		program := filepath.Join(dir, "program")
		if err := os.WriteFile(program, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := (Peer{version: []string{program}}).Version(context.Background(), "/bin/sh"); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestHeadIsBounded(t *testing.T) {
	var h head
	for range 3 {
		if n, err := h.Write(make([]byte, logLimit-1)); n != logLimit-1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if n := h.buf.Len(); n != logLimit {
		t.Errorf("%d bytes are kept, want %d", n, logLimit)
	}
}

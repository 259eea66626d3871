package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"dens/configs"
	"dens/server/certs"
)

// TestReloadFails: a configuration that cannot be put into force changes nothing, and leaves nothing behind: no
// goroutine, no socket.
func TestReloadFails(t *testing.T) {
	dir := t.TempDir()
	state, file := filepath.Join(dir, "state.pem"), filepath.Join(dir, "file")
	if _, err := certs.NewSelfSigned(certs.SelfSignedConfig{State: state}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	dot := freePort(t)
	config := func(listen, tls string) *configs.Config {
		return parsed(t, fmt.Sprintf("%slisten: { dns: ['127.0.0.1:0'], http: '', dot: ['127.0.0.1:%d']%s }\ntls: { %s }\n", quiet, dot, listen, tls))
	}
	const selfSigned = "self_signed: true, name: dns.example"
	acme := "acme: { domains: [dns.example], directory: 'https://127.0.0.1:1/dir', cache: " + dir + "/%s, http: '%s' }"
	d, _ := running(t, config("", selfSigned))
	before := shownBy(t, d)
	gen, conf := d.current.Load(), fmt.Sprint(d.server.Addrs())
	broken := map[string]*configs.Config{
		"a port of DoH that is taken":            config(", doh: ['"+tcp.Addr().String()+"']", "self_signed: true, name: other.example"),
		"a port of HTTP/3 that is taken":         config(", doh: ['"+udp.LocalAddr().String()+"']", "self_signed: true, name: other.example"),
		"a port of DoQ that is taken":            config(", doq: ['"+udp.LocalAddr().String()+"']", fmt.Sprintf(acme, "acme", "127.0.0.1:0")),
		"a port of challenges that is taken":     config("", fmt.Sprintf(acme, "acme", tcp.Addr())),
		"a cache that is no directory":           config("", fmt.Sprintf(acme, "file", "127.0.0.1:0")),
		"no file":                                config("", "cert: "+dir+"/none.pem, key: "+dir+"/none.pem"),
		"files, and a port of DoQ that is taken": config(", doq: ['"+udp.LocalAddr().String()+"']", "cert: "+state+", key: "+state),
		"a state that is none":                   config("", "self_signed: true, self_signed_state: "+file),
	}
	attempt := func() {
		for name, cfg := range broken {
			if err := d.reload(t.Context(), cfg); err == nil {
				t.Fatalf("%s: no error", name)
			}
		}
	}
	attempt()
	goroutines, descriptors := runtime.NumGoroutine(), openFiles(t)
	for range 5 {
		attempt()
	}
	waitFor(t.Context(), 30*time.Second, func() bool { return runtime.NumGoroutine() <= goroutines && openFiles(t) <= descriptors })
	if g, f := runtime.NumGoroutine(), openFiles(t); g > goroutines || f > descriptors {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines and %d files, before %d and %d\n%s", g, f, goroutines, descriptors, stacks[:runtime.Stack(stacks, true)])
	}
	if now := shownBy(t, d); !now.Equal(before) || d.current.Load() != gen || fmt.Sprint(d.server.Addrs()) != conf {
		t.Errorf("another certificate, generation or listener: %v, %v", now.DNSNames, d.server.Addrs())
	}
	if err := d.reload(t.Context(), config("", "self_signed: true, name: other.example")); err != nil {
		t.Fatal(err)
	}
	if got := shownBy(t, d).DNSNames; fmt.Sprint(got) != "[other.example]" {
		t.Errorf("after a reload that can be: %v", got)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

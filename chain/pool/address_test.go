package pool

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dens/chain"
)

func TestAddress(t *testing.T) {
	tests := []struct{ url, name, operator, transport string }{
		{"https://user:pw@eth.Example.co.uk:8545/v2/key?x=y", "eth.example.co.uk:8545", "example.co.uk", transportHTTP},
		{"https://mainnet.infura.io/v3/key", "mainnet.infura.io", "infura.io", transportHTTP},
		{"wss://a.b.example.org./ws", "a.b.example.org.", "example.org", transportWS},
		{"http://localhost:8545", "localhost:8545", "localhost", transportHTTP},
		{"ws://192.0.2.7:8546", "192.0.2.7:8546", "192.0.2.7", transportWS},
		{"http://[2001:db8::1]:8545", "[2001:db8::1]:8545", "2001:db8::1", transportHTTP},
		{"/run/geth/geth.ipc", "geth.ipc", "geth.ipc", transportIPC},
		{"./geth.ipc", "geth.ipc", "geth.ipc", transportIPC},
	}
	for _, tt := range tests {
		a, err := parseAddress(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if a.name() != tt.name || a.operator() != tt.operator || a.transport != tt.transport {
			t.Errorf("%s: %q %q %q", tt.url, a.name(), a.operator(), a.transport)
		}
	}
}

// FuzzAddress: what is shown of a URL holds none of its secrets.
func FuzzAddress(f *testing.F) {
	f.Add("https://user:password@example.org/v2/abcdefgh?key=12345678")
	f.Add("/run/geth.ipc")
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := parseAddress(raw)
		if err != nil {
			return
		}
		if a.url != nil && strings.Contains(a.redact("before "+raw+" after"), raw) {
			t.Errorf("%q shows", raw)
		}
		if strings.ContainsAny(a.name(), "?@") && a.url != nil && !strings.Contains(a.url.Host, "?") && !strings.Contains(a.url.Host, "@") {
			t.Errorf("name %q", a.name())
		}
	})
}

func TestIPCPathIsNotThere(t *testing.T) {
	e := endpoint(t, filepath.Join(t.TempDir(), "none.ipc"))
	if _, err := e.Latest(within(t, 20*time.Second), 0); !errors.Is(err, chain.ErrUnavailable) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error %v", err)
	}
}

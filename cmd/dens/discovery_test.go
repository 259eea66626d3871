package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/configs"
	"dens/server/certs"
)

// fixedKeeper has a certificate that never changes.
type fixedKeeper struct {
	certs.Keeper
	status certs.Status
}

func (k fixedKeeper) Status() certs.Status { return k.status }

// TestOffer: nobody is told of what is not for them, neither private addresses nor listeners of this machine alone.
func TestOffer(t *testing.T) {
	id := &identity{Keeper: fixedKeeper{status: certs.Status{NotAfter: time.Now().Add(time.Hour)}}}
	const head = "tls: { cert: a, key: b, name: dns.example }\n"
	private, public := "access: { allow: [private] }\n", "access: { allow: [any], rate: 10 }\n"
	for name, tt := range map[string]struct{ text, want string }{
		"private, to those within": {private + "listen: { dns: ['10.0.0.1:53'], dot: ['10.0.0.1:853'] }\n", "853 [10.0.0.1]"},
		"private, to the world":    {public + "listen: { dns: ['10.0.0.1:53'], dot: ['10.0.0.1:853', '[fd00::1]:853', '192.0.2.1:853'] }\n", "853 [192.0.2.1]"},
		"behind NAT":               {public + "listen: { dns: ['10.0.0.1:53'], dot: ['10.0.0.1:853'] }\n", "853 []"},
		"behind NAT, as told":      {public + "listen: { dns: ['10.0.0.1:53'], dot: ['10.0.0.1:853'] }\ndiscovery: { addresses: [192.0.2.7] }\n", "853 [192.0.2.7]"},
		"of this machine alone":    {private + "listen: { dns: ['10.0.0.1:53'], dot: ['127.0.0.1:8853', '[::1]:8853'], doq: ['10.0.0.1:853'] }\n", "853 [10.0.0.1]"},
		"all of this machine":      {"listen: { dns: ['127.0.0.1:53'], dot: ['127.0.0.1:853'] }\n", "853 [127.0.0.1]"},
		"by way of a proxy":        {private + "listen: { dns: ['10.0.0.1:53'], dot: ['127.0.0.1:853'] }\ndiscovery: { addresses: [10.0.0.9] }\n", "853 [10.0.0.9]"},
	} {
		var got []string
		for _, e := range id.offer(parsed(t, head+tt.text)).Endpoints {
			got = append(got, fmt.Sprint(e.Port, " ", e.Addrs))
		}
		if got := strings.Join(got, "; "); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestOwnAddresses: a self-signed certificate, which is shown to all who come, names no address of the machine that
// is not theirs to know.
func TestOwnAddresses(t *testing.T) {
	own := ownAddresses(parsed(t, "listen: { dns: [':53'], dot: [':853'] }\ntls: { self_signed: true }\naccess: { allow: [any], rate: 10 }\n"))
	for _, a := range own {
		if isPrivate(a) && !a.IsLoopback() {
			t.Errorf("%s is told to the world", a)
		}
	}
	if len(own) < 2 || !slices.Contains(own, netip.IPv6Loopback()) {
		t.Errorf("%s", own)
	}
}

// TestToldOverReloads: what the cache has of the encrypted listeners does not outlive their configuration, also where
// the certificate alone says what the server's names are.
func TestToldOverReloads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pair.pem")
	if _, err := certs.NewSelfSigned(certs.SelfSignedConfig{State: file, Names: []string{"dns.example"}}); err != nil {
		t.Fatal(err)
	}
	dot := freePort(t)
	config := func(more string) *configs.Config {
		return parsed(t, fmt.Sprintf("%slisten: { dns: ['127.0.0.1:0'], http: '', dot: ['127.0.0.1:%d'] }\ntls: { cert: %s, key: %s }\n%s", quiet, dot, file, file, more))
	}
	d, _ := running(t, config(""))
	for _, tt := range []struct{ more, want string }{
		{"", "127.0.0.1"},
		{"discovery: { addresses: [192.0.2.1] }\n", "192.0.2.1"},
		{"discovery: { enabled: false }\n", ""},
		{"", "127.0.0.1"},
	} {
		if err := d.reload(t.Context(), config(tt.more)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"_dns.dns.example.", "_dns.resolver.arpa."} {
			for range 2 { // the second is from the cache
				reply, err := dns.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeSVCB), d.server.Addrs()[0].Addr.String())
				if err != nil {
					t.Fatal(err)
				}
				hint := ""
				for _, rr := range reply.Answer {
					for _, v := range rr.(*dns.SVCB).Value {
						if v.Key() == dns.SVCB_IPV4HINT {
							hint = v.String()
						}
					}
				}
				if hint != tt.want {
					t.Errorf("%s with %q: %q, want %q", name, tt.more, hint, tt.want)
				}
			}
		}
	}
}

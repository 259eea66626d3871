package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

// Where the servers of the interoperability tests are, each on the ports of the protocols.
const (
	interopAddress = "127.0.0.1"   // dens with a certificate for dens.example of an authority that the machine trusts
	interopSelf    = "127.0.0.3"   // dens with a certificate that it made itself
	interopNobody  = "127.0.0.9"   // the machine's resolver: nobody is there
	interopOutside = "203.0.113.1" // a client that may not ask
	interopName    = "dens.example"
	interopTrusted = "/etc/ssl/certs/ca-certificates.crt" // the authorities that the machine trusts
)

// interop is a machine with dens on it, for clients as they come.
type interop struct {
	ca   string      // file of the authority that the machine trusts
	web  string      // and of one that the web server's certificate is of
	dens *bed.Server // over the demo's chain
	self *bed.Server // forwards alone
}

// TestInterop has clients of many kinds ask dens by every transport, in namespaces of their own.
func TestInterop(t *testing.T) {
	if !isolated(t) {
		return
	}
	w := newInterop(t)
	// One test around them all, which ends when they have.
	t.Run("clients", func(t *testing.T) {
		for name, check := range map[string]func(*testing.T, *interop){
			"kdig":             checkKnot,
			"kdig by pin":      checkPin,
			"resumption":       checkResumption,
			"curl's DoH":       checkCurlDoH,
			"curl by hand":     checkCurl,
			"curl's claims":    checkClaims,
			"Chromium":         checkChromium,
			"systemd-resolved": checkResolved,
			"Unbound":          checkUnboundTLS,
			"CoreDNS":          checkCoreDNSTLS,
			"designation":      checkDesignation,
			"kubo":             checkKuboTLS,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				check(t, w)
			})
		}
	})
	for _, s := range []*bed.Server{w.dens, w.self} {
		if n := metric(t, s, "dens_panics_total"); n != 0 {
			t.Errorf("%v panics", n)
		}
		sigterm(t, s.Process)
		if log := s.Log(); strings.Contains(log, "level=ERROR") {
			t.Errorf("dens has seen errors:\n%s", log)
		}
	}
}

// newInterop makes the machine: its names lead nowhere but to dens, and nowhere but to itself.
func newInterop(t *testing.T) *interop {
	t.Helper()
	ca, cert, key := bed.Certificate(t, interopName)
	interopFiles(t, ca)
	interopNetwork(t)
	w := &interop{ca: ca, web: serveWeb(t)}
	listen := func(address string) string {
		return fmt.Sprintf("listen: { dns: [%q], dot: [%q], doh: [%q], doq: [%q], http: %q, tcp_idle: 30s }\n",
			address+":53", address+":853", address+":443", address+":853", address+":8053")
	}
	chain := world(t)
	w.dens = serveWith(t, nil, interopAddress+":53", interopAddress+":8053", listen(interopAddress)+
		worldConfig(chain, worldOptions{rest: fmt.Sprintf("tls: { cert: %q, key: %q }\n", cert, key)}))
	w.self = serveWith(t, nil, interopSelf+":53", interopSelf+":8053", listen(interopSelf)+
		upstreamOnly(chain.DNS, "tls: { self_signed: true }\n"))
	w.dens.WaitReady(t)
	w.self.WaitReady(t)
	return w
}

// interopFiles gives the machine an /etc of its own, which trusts ca alone, and an empty /run.
func interopFiles(t *testing.T, ca string) {
	t.Helper()
	script := `
cp -a /etc "$1"
cp "$2" "$1$4"
rm -f "$1/etc/resolv.conf"
echo "nameserver $3" > "$1/etc/resolv.conf"
grep -q '^systemd-resolve:' /etc/passwd || {
	echo 'systemd-resolve:x:65533:65533::/:/usr/sbin/nologin' >> "$1/etc/passwd"
	echo 'systemd-resolve:x:65533:' >> "$1/etc/group"
}
mount --bind "$1/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/systemd
`
	bed.Run(t, bed.Tool(t, "bash"), "-ec", script, "bash", t.TempDir(), ca, interopNobody, interopTrusted)
	t.Cleanup(func() {
		if err := syscall.Unmount("/etc", syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount /etc: %v", err)
		}
	})
}

// interopNetwork gives the machine the addresses of the web servers, and one of a network, without which some
// take it for offline.
func interopNetwork(t *testing.T) {
	t.Helper()
	ip := bed.Tool(t, "ip")
	bed.Run(t, ip, "link", "add", "near", "type", "veth", "peer", "name", "far")
	bed.Run(t, ip, "link", "set", "near", "up")
	bed.Run(t, ip, "link", "set", "far", "up")
	bed.Run(t, ip, "address", "add", interopOutside+"/24", "dev", "near")
	for _, a := range []string{demo.GatewayA, "192.0.2.10", "198.51.100.80"} {
		bed.Run(t, ip, "address", "add", a+"/32", "dev", "lo")
	}
}

// serveWeb serves a page that tells the name by which it was asked for: by HTTP at all addresses, and by HTTPS for
// bob.eth, at the gateway's, as its HTTPS record says. It returns the file of the authority for the latter.
func serveWeb(t *testing.T) (authority string) {
	t.Helper()
	authority, cert, key := bed.Certificate(t, "bob.eth")
	listen := func(address string) net.Listener {
		var conf net.ListenConfig
		l, err := conf.Listen(t.Context(), "tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		fmt.Fprintf(w, "<!doctype html><title>a page</title><p>%s", page(scheme, r.Host)) //nolint:errcheck // the client will say
	})}
	plain, encrypted, done := listen("0.0.0.0:80"), listen(demo.GatewayA+":443"), make(chan error, 2)
	go func() { done <- s.Serve(plain) }()
	go func() { done <- s.ServeTLS(encrypted, cert, key) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		s.Shutdown(ctx) //nolint:errcheck // browsers keep connections
		for range cap(done) {
			if err := <-done; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}
	})
	return authority
}

// page is what the page at a name says.
func page(scheme, name string) string { return "This is " + name + " by " + scheme + "." }

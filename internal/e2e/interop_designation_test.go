package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go/http3"

	"dens/internal/e2e/bed"
)

// endpoint is where a client that was told of dens finds it.
type endpoint struct {
	alpn, target, address string
	port                  int
	path                  string // a URI template
}

func (e endpoint) at() string { return net.JoinHostPort(e.address, fmt.Sprint(e.port)) }

// checkDesignation does what a client does that knows an address alone (RFC 9462): it asks there, without
// encryption, who else answers, and goes to each as the records say, if that one shows that it has the address.
func checkDesignation(t *testing.T, w *interop) {
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(w.ca)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no authority: ", err)
	}
	endpoints := designated(t, "_dns.resolver.arpa")
	var told []string
	for _, e := range endpoints {
		told = append(told, e.alpn)
		if e.address != interopAddress || e.target != interopName+"." {
			t.Errorf("%+v is not the server that was asked", e)
		}
		e.use(t, roots)
	}
	slices.Sort(told)
	if want := []string{"doq", "dot", "h2", "h3"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	// Who knows the name is told the same (RFC 9461).
	if byName := designated(t, "_dns."+interopName); !slices.Equal(byName, endpoints) {
		t.Errorf("told by the name %v, by the address %v", byName, endpoints)
	}
}

// designated asks for the endpoints.
func designated(t *testing.T, name string) []endpoint {
	t.Helper()
	var list []endpoint
	for _, rr := range bed.Ask(t, interopAddress+":53", name, dns.TypeSVCB).Answer {
		svcb, ok := rr.(*dns.SVCB)
		if !ok || svcb.Priority == 0 {
			t.Errorf("%v", rr)
			continue
		}
		e, alpn := endpoint{target: svcb.Target}, []string(nil)
		for _, kv := range svcb.Value {
			switch v := kv.(type) {
			case *dns.SVCBAlpn:
				alpn = v.Alpn
			case *dns.SVCBPort:
				e.port = int(v.Port)
			case *dns.SVCBIPv4Hint:
				e.address = v.Hint[0].String()
			case *dns.SVCBDoHPath:
				e.path = v.Template
			default:
				t.Errorf("%v is more than a client has to understand", kv)
			}
		}
		for _, e.alpn = range alpn {
			list = append(list, e)
		}
	}
	return list
}

// use checks that the server has the address, and asks it.
func (e endpoint) use(t *testing.T, roots *x509.CertPool) {
	t.Helper()
	host := strings.TrimSuffix(e.target, ".")
	query, err := new(dns.Msg).SetQuestion("alice.eth.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	query[0], query[1] = 0, 0
	url := fmt.Sprintf("https://%s:%d", host, e.port) + strings.Replace(e.path, "{?dns}", "?dns="+base64.RawURLEncoding.EncodeToString(query), 1)
	kdig := []string{"@" + e.address, "-p", fmt.Sprint(e.port), "+short", "+tls-ca", "+tls-hostname=" + host}
	got := ""
	switch e.alpn {
	case "dot":
		e.checkAddress(t, roots)
		got = bed.Run(t, bed.Tool(t, "kdig"), append(kdig, "alice.eth", "A")...)
	case "doq":
		got = bed.Run(t, bed.Tool(t, "kdig"), append(kdig, "+quic", "alice.eth", "A")...)
	case "h2":
		e.checkAddress(t, roots)
		got = unpacked(t, []byte(curl(t, "--http2", "--connect-to", fmt.Sprintf("%s:%d:%s:%d", host, e.port, e.address, e.port), url)))
	case "h3":
		got = unpacked(t, e.fetchHTTP3(t, roots, url))
	}
	if strings.TrimSpace(got) != "192.0.2.10" {
		t.Errorf("%+v answers %q", e, got)
	}
}

// checkAddress wants a certificate for the address (RFC 9462 section 4.2).
func (e endpoint) checkAddress(t *testing.T, roots *x509.CertPool) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", e.at(), &tls.Config{RootCAs: roots, ServerName: e.address, NextProtos: []string{e.alpn}})
	if err != nil {
		t.Errorf("%+v: %v", e, err)
		return
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != e.alpn {
		t.Errorf("%+v speaks %q", e, got)
	}
}

// fetchHTTP3 fetches by the address that the certificate must have.
func (e endpoint) fetchHTTP3(t *testing.T, roots *x509.CertPool, url string) []byte {
	t.Helper()
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.Close() //nolint:errcheck // the end
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	resp, err := client.Get(strings.Replace(url, strings.TrimSuffix(e.target, "."), e.address, 1))
	if err != nil {
		t.Errorf("%+v: %v", e, err)
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 3 {
		t.Errorf("%+v: %s %s %v", e, resp.Proto, resp.Status, err)
	}
	return body
}

// unpacked is the data of a reply's records.
func unpacked(t *testing.T, message []byte) string {
	t.Helper()
	reply := new(dns.Msg)
	if err := reply.Unpack(message); err != nil {
		t.Errorf("%x: %v", message, err)
	}
	return strings.Join(bed.Data(reply), " ")
}

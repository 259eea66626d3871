package configs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Endpoint is a server that is asked over HTTP, WebSocket or a Unix socket. It prints, logs and marshals
// without its URL's user, path and query and without what variables held.
type Endpoint struct {
	URL      string // or the absolute path of a Unix socket; may hold a key
	Operator string // who runs it: those of one operator count once; lower case

	shown string
}

// RPC is one backend of a chain: http, https, ws, wss or the path of a socket.
type RPC struct {
	Endpoint
	Rate  float64 // requests a second, 0 is no limit
	Batch bool    // false: JSON-RPC batches are never tried
}

// Beacon is one beacon API that serves light clients: http or https.
type Beacon struct {
	Endpoint
}

// What the values of rpc and beacon look like.
const (
	rpcForms    = "a URL (https://, http://, wss:// or ws://) or the absolute path of an IPC socket"
	beaconForms = "the URL of a beacon API (https:// or http://), without what begins with /eth/"
)

// IPC reports whether the endpoint is a Unix socket.
func (e Endpoint) IPC() bool { return strings.HasPrefix(e.URL, "/") }

// Host returns the URL's host name or IP address, "" for a Unix socket. It may come from a variable.
func (e Endpoint) Host() string {
	u, err := url.Parse(e.URL)
	if err != nil || e.IPC() {
		return ""
	}
	return u.Hostname()
}

// Hidden says that an environment variable held the host, or the path of the socket, which is then not to
// be shown: people see Operator in its place.
func (e Endpoint) Hidden() bool {
	if e.IPC() {
		return strings.Contains(e.shown, "${")
	}
	host := rawHost(e.shown)
	return host == "" || strings.Contains(host, "${")
}

// named reports whether the endpoint has a host that others must resolve.
func (e Endpoint) named() bool {
	_, err := netip.ParseAddr(e.Host())
	return err != nil && !e.IPC()
}

// String returns the endpoint as the file has it, without secrets.
func (e Endpoint) String() string { return e.shown }

// Format keeps every verb of fmt from seeing the URL.
func (e Endpoint) Format(f fmt.State, _ rune) { fmt.Fprint(f, e.shown) }

// LogValue returns what String returns.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.shown) }

// MarshalJSON returns the keys of the file, the URL as String has it.
func (r RPC) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		URL      string  `json:"url"`
		Operator string  `json:"operator"`
		Rate     float64 `json:"rate"`
		Batch    bool    `json:"batch"`
	}{r.shown, r.Operator, r.Rate, r.Batch})
}

// MarshalJSON returns the keys of the file, the URL as String has it.
func (b Beacon) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		URL      string `json:"url"`
		Operator string `json:"operator"`
	}{b.shown, b.Operator})
}

// parseRPC returns the backend, or what was expected.
func parseRPC(t text) (Endpoint, string) {
	socket, ok := strings.CutPrefix(t.val, "unix://")
	if !ok && !strings.HasPrefix(t.val, "/") {
		return parseURL(t, rpcForms, "http", "https", "ws", "wss")
	}
	e := Endpoint{URL: socket, shown: strings.TrimPrefix(t.raw, "unix://")}
	if len(e.URL) > 107 || strings.HasSuffix(e.URL, "/") || !e.IPC() {
		return e, "the path of an IPC socket, at most 107 bytes"
	}
	if !t.expanded {
		e.Operator = strings.ToLower(path.Base(e.URL))
	}
	return e, ""
}

// parseBeacon returns the beacon API, or what was expected.
func parseBeacon(t text) (Endpoint, string) {
	e, want := parseURL(t, beaconForms, "http", "https")
	if u, err := url.Parse(t.val); want == "" && err == nil && (strings.Contains(u.Path+"/", "/eth/v1/") || u.RawQuery != "") {
		want = beaconForms + " and without a query"
	}
	return e, want
}

// parseURL returns the endpoint, or what was expected. Operator stays empty when the host comes from a
// variable: what it holds must not show, and must not be counted under a made-up name either.
func parseURL(t text, forms string, schemes ...string) (Endpoint, string) {
	e := Endpoint{URL: t.val, shown: redactURL(t.raw)}
	u, err := url.Parse(t.val)
	if err != nil || u.Opaque != "" || u.Fragment != "" || len(t.val) > 2048 || !slices.Contains(schemes, u.Scheme) {
		return e, forms
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err != nil && !isHost(host) {
		return e, forms
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return e, forms + " with a port from 1 to 65535"
		}
	}
	if u.Host == rawHost(t.raw) && !strings.Contains(u.Host, "${") {
		e.Operator = operatorOf(host)
	}
	return e, ""
}

// operatorOf returns the registrable domain of host, counted below suffixes that ICANN delegated only:
// all customers of a hoster depend on that hoster.
func operatorOf(host string) string {
	host = strings.TrimSuffix(host, ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	suffix, icann := publicsuffix.PublicSuffix(host)
	for !icann {
		_, parent, ok := strings.Cut(suffix, ".")
		if !ok {
			break
		}
		suffix, icann = publicsuffix.PublicSuffix(parent)
	}
	below, ok := strings.CutSuffix(host, "."+suffix)
	if !ok {
		return host
	}
	return below[strings.LastIndexByte(below, '.')+1:] + "." + suffix
}

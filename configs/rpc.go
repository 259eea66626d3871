package configs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// RPC is one backend of a chain. It prints, logs and marshals without its URL's user, path and query and
// without what variables held.
type RPC struct {
	URL      string  // http, https, ws or wss, or the absolute path of a Unix socket; may hold a key
	Operator string  // endpoints of one operator count once; lower case
	Rate     float64 // requests a second, 0 is no limit
	Batch    bool    // false: JSON-RPC batches are never tried

	shown string
}

const rpcForms = "a URL (https://, http://, wss:// or ws://) or the absolute path of an IPC socket"

// IPC reports whether the backend is a Unix socket.
func (r RPC) IPC() bool { return strings.HasPrefix(r.URL, "/") }

// Host returns the URL's host name or IP address, "" for a Unix socket. It may come from a variable.
func (r RPC) Host() string {
	u, err := url.Parse(r.URL)
	if err != nil || r.IPC() {
		return ""
	}
	return u.Hostname()
}

// Hidden says that an environment variable held the host, or the path of the socket, which is then not to
// be shown: people see Operator in its place.
func (r RPC) Hidden() bool {
	if r.IPC() {
		return strings.Contains(r.shown, "${")
	}
	host := rawHost(r.shown)
	return host == "" || strings.Contains(host, "${")
}

// String returns the backend as the file has it, without secrets.
func (r RPC) String() string { return r.shown }

// Format keeps every verb of fmt from seeing the URL.
func (r RPC) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.shown) }

// MarshalJSON returns the keys of the file, the URL as String has it.
func (r RPC) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		URL      string  `json:"url"`
		Operator string  `json:"operator"`
		Rate     float64 `json:"rate"`
		Batch    bool    `json:"batch"`
	}{r.shown, r.Operator, r.Rate, r.Batch})
}

// LogValue returns what String returns.
func (r RPC) LogValue() slog.Value { return slog.StringValue(r.shown) }

// parseRPC returns the backend, or what was expected. Operator stays empty when the host comes from a
// variable: what it holds must not show, and must not be counted under a made-up name either.
func parseRPC(t text) (RPC, string) {
	r := RPC{URL: t.val, Batch: true, shown: redactURL(t.raw)}
	if p, ok := strings.CutPrefix(t.val, "unix://"); ok {
		r.URL = p
	}
	if r.IPC() {
		r.shown = strings.TrimPrefix(t.raw, "unix://")
		if len(r.URL) > 107 || strings.HasSuffix(r.URL, "/") {
			return r, "the path of an IPC socket, at most 107 bytes"
		}
		if !t.expanded {
			r.Operator = strings.ToLower(path.Base(r.URL))
		}
		return r, ""
	}
	u, err := url.Parse(t.val)
	if err != nil || u.Opaque != "" || u.Fragment != "" || len(t.val) > 2048 {
		return r, rpcForms
	}
	switch u.Scheme {
	case "http", "https", "ws", "wss":
	default:
		return r, rpcForms
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err != nil && !isHost(host) {
		return r, rpcForms
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return r, rpcForms + " with a port from 1 to 65535"
		}
	}
	if u.Host == rawHost(t.raw) && !strings.Contains(u.Host, "${") {
		r.Operator = operatorOf(host)
	}
	return r, ""
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

package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Transports, as Status shows them.
const (
	transportHTTP = "http"
	transportWS   = "websocket"
	transportIPC  = "ipc"
)

// address is a backend's URL taken apart.
type address struct {
	transport string
	url       *url.URL // nil for IPC
	path      string   // of the IPC socket
	secrets   []string // what must never be shown, longest first
}

// parseAddress reads a backend's URL or IPC path. Its errors do not repeat the input.
func parseAddress(raw string) (address, error) {
	if raw == "" {
		return address{}, errors.New("no URL given")
	}
	scheme, _, hasScheme := strings.Cut(raw, "://")
	if !hasScheme {
		if !strings.ContainsRune(raw, filepath.Separator) {
			return address{}, errors.New("neither a URL with a scheme (https, http, wss, ws) nor the path of an IPC socket")
		}
		return address{transport: transportIPC, path: raw}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, errors.New("the URL cannot be parsed")
	}
	a := address{url: u, secrets: secretsOf(u, raw)}
	switch strings.ToLower(scheme) {
	case "http", "https":
		a.transport = transportHTTP
	case "ws", "wss":
		a.transport = transportWS
	default:
		return address{}, fmt.Errorf("URL scheme %q is not one of https, http, wss, ws", cut(scheme))
	}
	if u.Hostname() == "" {
		return address{}, errors.New("the URL has no host")
	}
	return a, nil
}

// name is what people see: no credentials, no path, no query.
func (a address) name() string {
	if a.url == nil {
		return filepath.Base(a.path)
	}
	return strings.ToLower(a.url.Host)
}

// operator guesses who runs the backend: hosts below one registrable domain belong together.
func (a address) operator() string {
	if a.url == nil {
		return filepath.Base(a.path)
	}
	host := strings.TrimSuffix(strings.ToLower(a.url.Hostname()), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

// secretsOf lists the parts of a URL that may be API keys. Short path segments ("v2", "rpc") are words
// of everyday messages and no keys.
func secretsOf(u *url.URL, raw string) []string {
	var list []string
	add := func(s string, least int) {
		if len(s) < least {
			return
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			if form != "" {
				list = append(list, form)
			}
		}
	}
	list = append(list, raw, u.String())
	if u.User != nil {
		password, _ := u.User.Password()
		list = append(list, u.User.String())
		add(password, 3)
		add(u.User.Username(), 3)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		add(segment, 6)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			add(v, 4)
		}
	}
	if len(u.RawQuery) >= 4 {
		list = append(list, u.RawQuery)
	}
	return longestFirst(list)
}

// hideHost makes the host, or the socket's path, one of the secrets.
func (a *address) hideHost() {
	if a.url == nil {
		a.secrets = longestFirst(append(a.secrets, a.path, filepath.Base(a.path)))
		return
	}
	host := a.url.Hostname()
	a.secrets = longestFirst(append(a.secrets, a.url.Host, host, strings.ToLower(host)))
}

// longestFirst sorts, since a secret inside a longer one must not be replaced before it.
func longestFirst(list []string) []string {
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	return slices.Compact(list)
}

// redact removes secrets from a text that a backend or a library wrote.
func (a address) redact(text string) string {
	for _, s := range a.secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}

// dialAddress dials IP addresses only.
func dialAddress(ctx context.Context, network, addr string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, errors.New("no dialer was given that resolves host names")
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// maxText is the greatest length of a foreign text in an error, in bytes.
const maxText = 200

// cut makes a foreign text fit for an error or a log line: one line, printable, short.
func cut(text string) string {
	if len(text) > 4*maxText { // what follows need not walk megabytes
		text = text[:4*maxText]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1 // controls, and those that turn the direction of writing
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.TrimSpace(text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText-3], "") + "..."
	}
	return text
}

package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

func (v value) tls(c *TLS) {
	v.fields(map[string]func(value){
		"cert":              func(v value) { v.secret(&c.Cert) },
		"key":               func(v value) { v.secret(&c.Key) },
		"acme":              func(v value) { v.acme(&c.ACME) },
		"self_signed":       func(v value) { v.boolean(&c.SelfSigned) },
		"self_signed_state": func(v value) { v.file(&c.SelfSignedState) },
		"name":              func(v value) { v.serverName(&c.Name) },
	})
}

func (v value) acme(c *ACME) {
	v.fields(map[string]func(value){
		"domains": func(v value) {
			if listOf(v, &c.Domains, value.domain); len(c.Domains) > maxDomains {
				v.bad(fmt.Sprintf("%d elements", len(c.Domains)), fmt.Sprintf("at most %d", maxDomains))
			}
		},
		"email":     func(v value) { v.email(&c.Email) },
		"directory": func(v value) { v.directory(&c.Directory) },
		"profile":   func(v value) { v.profile(&c.Profile) },
		"cache":     func(v value) { v.file(&c.Cache) },
		"ca_file":   func(v value) { v.file(&c.CAFile) },
		"http":      func(v value) { v.listenerOrOff(&c.HTTP, 80) },
	})
}

// maxDomains is what authorities sign at most.
const maxDomains = 100

// domain reads a name or an address that a certificate is to be for.
func (v value) domain() (string, bool) {
	const expected = "a domain name such as dns.example.org, other alphabets as A-labels (xn--...), or an IP address"
	s, ok := v.plain(expected)
	if !ok {
		return "", false
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return a.Unmap().String(), true
	}
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if !isHostName(name) {
		if strings.HasPrefix(name, "*.") {
			v.bad(quote(s), expected+"; a name with * takes a challenge that dens does not know")
		} else {
			v.bad(quote(s), expected)
		}
		return "", false
	}
	return name, true
}

// isHostName reports whether a name in lower case is one that certificates have (RFC 1123 section 2.1).
func isHostName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return isHost(name)
}

func (v value) email(dst *string) {
	const expected = "an e-mail address, or \"\" for none"
	s, ok := v.plain(expected)
	if !ok {
		return
	}
	user, host, found := strings.Cut(s, "@")
	if s != "" && (!found || user == "" || len(s) > 254 || !isHostName(strings.ToLower(host)) || strings.ContainsAny(user, " \t\"<>,;:?&@")) {
		v.bad(quote(s), expected)
		return
	}
	*dst = s
}

func (v value) directory(dst *string) {
	const expected = "the https URL of an ACME server's directory"
	s, ok := v.plain(expected)
	if !ok {
		return
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || len(s) > 500 {
		v.bad(quote(redactURL(s)), expected)
		return
	}
	*dst = s
}

// named reports whether the ACME server has a host name.
func (a *ACME) named() bool {
	u, err := url.Parse(a.Directory)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err != nil
}

func (v value) profile(dst *string) {
	const expected = "the name of a profile of the ACME server, such as shortlived, or \"\" for its default"
	s, ok := v.plain(expected)
	if !ok {
		return
	}
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.bad(quote(s), expected)
		return
	}
	*dst = s
}

// serverName reads the name of the server; "" is none.
func (v value) serverName(dst *string) {
	const expected = "a host name such as dns.example.org, or \"\" for that of the certificate"
	s, ok := v.plain(expected)
	if !ok {
		return
	}
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if s != "" && !isHostName(name) {
		v.bad(quote(s), expected)
		return
	}
	if *dst = ""; name != "" {
		*dst = name + "."
	}
}

func (v value) doh(c *DoH) {
	v.fields(map[string]func(value){
		"path":            func(v value) { v.dohPath(&c.Path) },
		"trusted_proxies": func(v value) { v.networks(&c.TrustedProxies) },
	})
}

// taken are paths that listen.http has for itself.
var taken = []string{"/", "/healthz", "/readyz", "/metrics"}

// dohPath takes a path, or the URI template that clients know it by, whose variable stands at its end (RFC 8484
// section 4.1).
func (v value) dohPath(dst *string) {
	const expected = "a path of letters, digits and -._~, such as /dns-query"
	text, ok := v.plain(expected)
	if !ok {
		return
	}
	s := strings.TrimSuffix(text, "{?dns}")
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/") == ""
	if !strings.HasPrefix(s, "/") || !plain || path.Clean(s) != s || len(s) > 200 || slices.Contains(taken, s) {
		v.bad(quote(text), expected+", that is none of "+strings.Join(taken, ", "))
		return
	}
	*dst = s
}

func (v value) discovery(c *Discovery) {
	v.fields(map[string]func(value){
		"enabled":   func(v value) { v.boolean(&c.Enabled) },
		"addresses": func(v value) { listOf(v, &c.Addresses, family(isPlain, "an IP address")) },
	})
}

func isPlain(a netip.Addr) bool { return a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() }

// checkTLS sees to it that there is one certificate where one is needed, and never several.
func (d *decoder) checkTLS(c *Config) {
	t := &c.TLS
	cert, key := t.Cert.Reveal() != "", t.Key.Reveal() != ""
	var sources []string
	for _, s := range []struct {
		name string
		on   bool
	}{{"cert", cert || key}, {"acme", t.ACME.On()}, {"self_signed", t.SelfSigned}} {
		if s.on {
			sources = append(sources, s.name)
		}
	}
	if d.wrongBelow("tls.acme") {
		return // what is left of it says nothing
	}
	d.checkACME(&t.ACME)
	switch {
	case len(sources) > 1:
		d.addAt("tls."+sources[1], "both "+sources[0]+" and "+sources[1], "one of cert with key, acme, and self_signed")
	case len(sources) == 0 && c.Listen.Encrypted() && !d.wrongBelow("tls"):
		d.addAt("tls.cert", `""`, "a certificate file, or acme or self_signed in its place, since listen.dot, listen.doh or listen.doq is set")
	case cert && !key:
		d.addAt("tls.key", `""`, "a key file, since there is a certificate file")
	case key && !cert:
		d.addAt("tls.cert", `""`, "a certificate file, since there is a key file")
	}
	if t.SelfSignedState.Reveal() != "" && !t.SelfSigned {
		d.addAt("tls.self_signed_state", "a state without self_signed", "self_signed: true, or no self_signed_state")
	}
}

func (d *decoder) checkACME(a *ACME) {
	def := Default().TLS.ACME
	if !a.On() && (a.Email != "" || a.Profile != "" || a.HTTP.IsValid() || a.CAFile.Reveal() != "" || a.Directory != def.Directory) {
		d.addAt("tls.acme.domains", "no name", "at least one, such as dns.example.org, since there is a certificate to be had")
	}
	if a.On() && a.Cache.Reveal() == "" {
		d.addAt("tls.acme.cache", `""`, "a directory that dens may write to, since authorities give the same certificate only so often")
	}
	for i, name := range a.Domains {
		if slices.Index(a.Domains, name) < i {
			d.addAt(fmt.Sprintf("tls.acme.domains[%d]", i), quote(name), "each name once")
		}
	}
}

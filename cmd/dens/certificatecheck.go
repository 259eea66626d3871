package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dens/configs"
	"dens/server/certs"
)

// certificateReport is what dens check found out about the certificate.
type certificateReport struct {
	certs.Status
	verdict string
	ok      bool
}

// checkCertificate looks at the certificate of the encrypted listeners; nil is that none is needed.
func checkCertificate(cfg *configs.Config) (*certificateReport, error) {
	id, err := newIdentity(cfg, nil, nil, true, quietLogger())
	if err != nil || id == nil {
		return nil, err
	}
	r := &certificateReport{Status: id.Status()}
	if id.self != nil && !id.self.Kept() {
		r.Pin = "" // that of another process is another one
	}
	if report := checkWritable("", keptIn(cfg)); len(report) > 0 && report[0].problem != "" {
		r.verdict = report[0].problem
		return r, nil
	}
	r.judge(cfg, time.Now())
	return r, nil
}

// keptIn is a path in the directory in which dens makes what it keeps of its certificate; "" is none.
func keptIn(cfg *configs.Config) string {
	if !cfg.TLS.ACME.On() {
		return cfg.TLS.SelfSignedState.Reveal()
	}
	path := filepath.Join(cfg.TLS.ACME.Cache.Reveal(), "x")
	for { // dens makes directories that are missing
		dir := filepath.Dir(path)
		if _, err := os.Stat(dir); err == nil || dir == path {
			return path
		}
		path = dir
	}
}

// judge says what is wrong with a certificate, or may be missed.
func (r *certificateReport) judge(cfg *configs.Config, now time.Time) {
	if r.NotAfter.IsZero() {
		r.ok, r.verdict = true, "none yet: dens gets it when it serves"+challengeNote(cfg)
		return
	}
	if p := certificatePart(r.Status, now); !p.Ready {
		r.verdict = p.Reason
		return
	}
	if name := strings.TrimSuffix(cfg.TLS.Name, "."); name != "" && !covered(r.Names, name) {
		r.verdict = "it is not for " + name + ", which is tls.name"
		return
	}
	r.ok = true
	notes := []string{"ok"}
	if left := r.NotAfter.Sub(now); cfg.TLS.Cert.Reveal() != "" && left < 7*24*time.Hour {
		notes = append(notes, "ends in "+left.Round(time.Hour).String())
	}
	switch kept := cfg.TLS.SelfSignedState.Reveal() != ""; {
	case r.Pin == "" && kept:
		notes = append(notes, "its key, and so the pin, is made at the first start")
	case r.Pin == "":
		notes = append(notes, "the pin is in the log of each start: tls.self_signed_state names a file to keep it in")
	}
	if note := r.discoveryNote(cfg); note != "" {
		notes = append(notes, note)
	}
	r.verdict = strings.Join(notes, "; ")
}

// covered reports whether one of the names of a certificate is for a host (RFC 6125 section 6.4).
func covered(names []string, host string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		n = strings.ToLower(n)
		_, parent, _ := strings.Cut(host, ".")
		return n == host || parent != "" && n == "*."+parent
	})
}

// challengeNote warns of an ACME server that would find nobody.
func challengeNote(cfg *configs.Config) string {
	at443 := func(a netip.AddrPort) bool { return a.Port() == 443 }
	switch {
	case cfg.TLS.ACME.HTTP.IsValid():
		return fmt.Sprintf(", with port 80 of its names leading to %s", cfg.TLS.ACME.HTTP)
	case slices.ContainsFunc(cfg.Listen.DoH, at443) || slices.ContainsFunc(cfg.Listen.DoT, at443):
		return ", with port 443 of its names leading here"
	}
	return "; nothing listens at port 443, where the ACME server asks back: something must lead from there to a doh listener, or set tls.acme.http"
}

// discoveryNote says for whom discovery does not work.
func (r *certificateReport) discoveryNote(cfg *configs.Config) string {
	if !cfg.Discovery.Enabled {
		return ""
	}
	if len(serverNames(cfg, r.Status)) == 0 {
		return "without a name (tls.name) no client is told of the encrypted listeners"
	}
	var missing []string
	for _, a := range clearAddresses(cfg) {
		if !slices.Contains(r.Addresses, a) {
			missing = append(missing, a.String())
		}
	}
	if len(missing) == 0 {
		return ""
	}
	const most = 4
	if more := len(missing) - most; more > 0 {
		missing = append(missing[:most], fmt.Sprintf("%d more", more))
	}
	return "clients that know only " + strings.Join(missing, ", ") + " cannot verify it, and stay with plain DNS (RFC 9462 section 4.2)"
}

// clearAddresses are those at which others ask without encryption.
func clearAddresses(cfg *configs.Config) []netip.Addr {
	var out []netip.Addr
	for _, l := range cfg.Listen.DNS {
		list := []netip.Addr{l.Addr().Unmap()}
		if l.Addr().IsUnspecified() {
			if list = cfg.Discovery.Addresses; len(list) == 0 {
				list = reachable(cfg, machineAddresses())
			}
		}
		for _, a := range list {
			if !a.IsLoopback() && !a.IsLinkLocalUnicast() && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func printCertificate(table io.Writer, r *certificateReport) bool {
	names, expires := identities(r.Status), "-"
	const most = 4
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("+%d", more))
	}
	if !r.NotAfter.IsZero() {
		expires = r.NotAfter.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Kind, printable(or(strings.Join(names, " "), "-")), expires, or(r.Pin, "-"), printable(r.verdict))
	return r.ok
}

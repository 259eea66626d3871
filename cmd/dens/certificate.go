package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"dens/configs"
	"dens/internal/dial"
	"dens/resolver/discovery"
	"dens/server/certs"
	"dens/web"
)

// identity is the certificate that the encrypted listeners show. A reload that does not change its configuration
// keeps it, but for one of files, which is cheap to read again.
type identity struct {
	certs.Keeper
	conf   identityConfig
	acme   *certs.ACME       // nil: it comes from elsewhere
	self   *certs.SelfSigned // nil: likewise
	hosts  lateResolver      // finds the ACME server
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// identityConfig is the part of the configuration that an identity is made of.
type identityConfig struct {
	tls      configs.TLS
	caDigest string       // of the authorities' file
	addrs    []netip.Addr // of a self-signed certificate
	alpn     bool         // whether an ACME server may look at port 443
	readOnly bool         // for an onlooker: nothing is written, and nobody asked
}

func newIdentityConfig(cfg *configs.Config, onlooker bool) identityConfig {
	c := identityConfig{tls: cfg.TLS, readOnly: onlooker, caDigest: digestFiles(cfg.TLS.ACME.CAFile.Reveal())}
	if cfg.TLS.SelfSigned {
		c.addrs = ownAddresses(cfg)
	}
	at443 := func(a netip.AddrPort) bool { return a.Port() == 443 }
	c.alpn = !cfg.TLS.ACME.HTTP.IsValid() || slices.ContainsFunc(cfg.Listen.DoH, at443) || slices.ContainsFunc(cfg.Listen.DoT, at443)
	return c
}

// newIdentity makes what the configuration asks for, or takes over an old one that it would not change; nil is
// none. key is that of self-signed certificates of before.
func newIdentity(cfg *configs.Config, old *identity, key crypto.Signer, onlooker bool, log *slog.Logger) (*identity, error) {
	if !cfg.Listen.Encrypted() {
		return nil, nil
	}
	conf := newIdentityConfig(cfg, onlooker)
	if old != nil && (old.acme != nil || old.self != nil) && reflect.DeepEqual(old.conf, conf) {
		return old, nil
	}
	id := &identity{conf: conf}
	if err := id.build(key, log); err != nil {
		return nil, cfg.Locate(&configs.KeyError{Key: id.keyOf(err), Err: err})
	}
	return id, nil
}

// keyOf is the key of the configuration that an error of build is about.
func (id *identity) keyOf(err error) string {
	switch t := &id.conf.tls; {
	case t.ACME.On():
		return "tls.acme"
	case t.SelfSigned && t.SelfSignedState.Reveal() != "":
		return "tls.self_signed_state"
	case t.SelfSigned:
		return "tls.self_signed"
	case errors.Is(err, certs.ErrKey):
		return "tls.key"
	}
	return "tls.cert"
}

func (id *identity) build(key crypto.Signer, log *slog.Logger) (err error) {
	t := &id.conf.tls
	switch {
	case t.ACME.On():
		id.acme, err = certs.NewACME(certs.ACMEConfig{
			Domains: t.ACME.Domains, Email: t.ACME.Email, Directory: t.ACME.Directory, Profile: t.ACME.Profile,
			Cache: t.ACME.Cache.Reveal(), CAFile: t.ACME.CAFile.Reveal(), ReadOnly: id.conf.readOnly,
			HTTP: t.ACME.HTTP.IsValid(), TLS: id.conf.alpn,
			Dial: dial.New(dial.Config{Lookup: lookupHost(&id.hosts)}).DialContext, Log: log,
		})
		id.Keeper = id.acme
	case t.SelfSigned:
		conf := certs.SelfSignedConfig{Addresses: id.conf.addrs, Key: key, State: t.SelfSignedState.Reveal(), ReadOnly: id.conf.readOnly, Log: log}
		if t.Name != "" {
			conf.Names = []string{strings.TrimSuffix(t.Name, ".")}
		}
		id.self, err = certs.NewSelfSigned(conf)
		id.Keeper = id.self
	default:
		id.Keeper, err = certs.NewFiles(certs.FilesConfig{
			Cert: t.Cert.Reveal(), Key: t.Key.Reveal(), CertName: t.Cert.String(), KeyName: t.Key.String(), Log: log,
		})
	}
	return err
}

// start has the certificate kept up to date; once is enough. The listeners must be there: an ACME server asks
// back at once.
func (id *identity) start() {
	if id == nil || id.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	id.cancel = cancel
	id.done.Go(func() { id.Run(ctx) })
}

// close ends what start has begun.
func (id *identity) close() {
	if id == nil || id.cancel == nil {
		return
	}
	id.cancel()
	id.done.Wait()
}

// source is for the listeners, without the pitfall of an interface that holds a nil.
func (id *identity) source() certs.Source {
	if id == nil {
		return nil
	}
	return id
}

// announce logs the pin of a self-signed certificate, with which clients can check who they talk to.
func (id *identity) announce(cfg *configs.Config, log *slog.Logger) {
	if id == nil || id.self == nil {
		return
	}
	args := []any{"pin", id.self.Pin(), "expires", id.Status().NotAfter.UTC().Format(time.RFC3339)}
	if try := kdig(cfg, id.self.Pin()); try != "" {
		args = append(args, "try", try)
	}
	if !id.self.Kept() {
		args = append(args, "note", "the pin changes with the next start: tls.self_signed_state names a file to keep it in")
	}
	log.Info("self-signed certificate", args...)
}

// kdig is a command that asks by DNS over TLS and checks the pin; "" without such a listener.
func kdig(cfg *configs.Config, pin string) string {
	if len(cfg.Listen.DoT) == 0 {
		return ""
	}
	at := cfg.Listen.DoT[0]
	host := at.Addr()
	if host.IsUnspecified() {
		if host = netip.IPv6Loopback(); at.Addr().Is4() || !hasAddress(host) {
			host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	return fmt.Sprintf("kdig @%s -p %d +tls +tls-pin=%s example.org", host, at.Port(), pin)
}

// certificatePart is the certificate's state for /readyz. It answers no questions, and so nothing is ready by it.
func certificatePart(s certs.Status, now time.Time) web.Part {
	p := web.Part{Name: "certificate", Ready: true, Aside: true, Names: strings.Join(identities(s), " ")}
	if !s.NotAfter.IsZero() {
		p.Expires = s.NotAfter.UTC().Format(time.RFC3339)
	}
	switch {
	case s.NotAfter.IsZero():
		p.Ready, p.Reason = false, "there is none yet"
	case now.After(s.NotAfter):
		p.Ready, p.Reason = false, "it has ended"
	case now.Before(s.NotBefore):
		p.Ready, p.Reason = false, "it begins at "+s.NotBefore.UTC().Format(time.RFC3339)+" only, or the clock is wrong"
	case s.Error != "":
		p.Degraded, p.Reason = true, s.Error
		return p
	}
	if s.Error != "" {
		p.Reason += ": " + s.Error
	}
	return p
}

// identities are the names and addresses of a certificate.
func identities(s certs.Status) []string {
	out := slices.Clone(s.Names)
	for _, a := range s.Addresses {
		out = append(out, a.String())
	}
	return out
}

func (g *generation) certificateState() []web.Certificate {
	if g.identity == nil {
		return nil
	}
	s := g.identity.Status()
	c := web.Certificate{Kind: s.Kind, Failing: s.Error != ""}
	if !s.NotAfter.IsZero() {
		c.ExpiresIn = time.Until(s.NotAfter)
	}
	return []web.Certificate{c}
}

// meet has the certificate and the stack know of each other.
func (g *generation) meet() {
	if g.identity == nil {
		return
	}
	offer := func() discovery.Offer { return g.identity.offer(g.cfg) }
	g.stack.offer.Store(&offer)
	if g.identity.cancel == nil { // else succeed does, once the old stack is no more in use
		g.identity.hosts.set(g.stack.hosts)
	}
}

// succeed ends the keeping of an old certificate and begins with the new one, unless they are the same.
func (g *generation) succeed(old *generation, d *daemonState) {
	if g.identity != old.identity {
		old.identity.close()
		g.identity.announce(g.cfg, d.log)
		d.rememberKey(g)
	} else if g.identity != nil && g.identity.acme != nil {
		g.identity.acme.Retry()
	}
	if g.identity != nil {
		g.identity.hosts.set(g.stack.hosts)
		g.identity.start()
	}
}

// rememberKey keeps the key of a self-signed certificate for the next one.
func (d *daemonState) rememberKey(g *generation) {
	if g.identity != nil && g.identity.self != nil {
		d.selfKey = g.identity.self.Key()
	}
}

// listenChallenge starts the listener for HTTP-01 challenges of an ACME server; the zero address is none.
func (d *daemonState) listenChallenge(addr netip.AddrPort) (*web.Server, error) {
	if !addr.IsValid() {
		return nil, nil
	}
	return d.listenPlain("acme", addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gen := d.current.Load(); gen.identity != nil && gen.identity.acme != nil {
			gen.identity.acme.Handler().ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}))
}

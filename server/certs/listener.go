package certs

import (
	"crypto/tls"
	"slices"

	"golang.org/x/crypto/acme"
)

// ChallengeProto is the ALPN protocol by which an ACME server checks who has a name (RFC 8737). A connection
// that has agreed on it carries no data: the handshake is all there is to it.
const ChallengeProto = acme.ALPNProto

// Config returns what a listener needs to do TLS 1.2 and 1.3 with the ALPN protocols, in the order of its
// liking. source is asked at each handshake and may return nil for none. Connections may agree on ChallengeProto,
// too, while an ACME server asks; they end as all others that stay idle.
func Config(source func() Source, tickets *Tickets, protocols ...string) *tls.Config {
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Last, so that nobody who speaks DNS ends up there.
		NextProtos: append(slices.Clone(protocols), ChallengeProto),
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			src := source()
			if src == nil {
				return nil, ErrNone
			}
			if agreesOnChallenge(hello, protocols) && !(isChallenge(hello) && slices.Contains(src.NextProtos(), ChallengeProto)) {
				return nil, errNoChallenge
			}
			return src.GetCertificate(hello)
		},
	}
	tickets.share(conf)
	return conf
}

// agreesOnChallenge reports whether a handshake would agree on ChallengeProto.
func agreesOnChallenge(hello *tls.ClientHelloInfo, protocols []string) bool {
	return slices.Contains(hello.SupportedProtos, ChallengeProto) &&
		!slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(protocols, p) })
}

// Tickets are the keys of TLS session tickets, which all listeners share, and which outlive their certificates
// and configurations. They are drawn anew each day, and good for a week (as crypto/tls does). The zero value
// is ready for use.
type Tickets struct {
	keeper tls.Config // of the keys alone
}

// share has a listener seal and open its tickets here.
func (t *Tickets) share(conf *tls.Config) {
	conf.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		return t.keeper.EncryptTicket(cs, ss)
	}
	conf.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		return t.keeper.DecryptTicket(identity, cs)
	}
}

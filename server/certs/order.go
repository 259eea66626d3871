package certs

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/acme"
)

// The types of challenges that are met here.
const (
	kindHTTP = "http-01"     // RFC 8555 section 8.3
	kindTLS  = "tls-alpn-01" // RFC 8737
)

// maxAuthorizations bounds what an order may ask for: one for each identifier is usual.
const maxAuthorizations = 200

// kinds returns the challenges that can be met, in the order in which to try them.
func (a *ACME) kinds() []string {
	var kinds []string
	if a.conf.HTTP {
		kinds = append(kinds, kindHTTP)
	}
	if a.conf.TLS {
		kinds = append(kinds, kindTLS)
	}
	return kinds
}

// order gets a new certificate for a new key, by one kind of challenge (RFC 8555 section 7.4).
func (a *ACME) order(ctx context.Context, kind string) (*tls.Certificate, error) {
	client := a.newClient()
	if err := a.register(ctx, client); err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	var opts []acme.OrderOption
	if a.conf.Profile != "" { // draft-ietf-acme-profiles section 4
		opts = append(opts, acme.WithOrderIssuanceProfile(acme.ProfileName(a.conf.Profile)))
	}
	order, err := client.AuthorizeOrder(ctx, a.identifiers(), opts...)
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	if len(order.AuthzURLs) > maxAuthorizations {
		return nil, fmt.Errorf("order: %d authorizations", len(order.AuthzURLs))
	}
	for _, url := range order.AuthzURLs {
		if err := a.authorize(ctx, client, url, kind); err != nil {
			return nil, fmt.Errorf("challenge %s: %w", kind, err)
		}
	}
	if order, err = client.WaitOrder(ctx, order.URI); err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	return a.finish(ctx, client, order)
}

// identifiers are the names and addresses as the order has them.
func (a *ACME) identifiers() []acme.AuthzID {
	ids := acme.DomainIDs(a.names...)
	for _, addr := range a.addrs {
		ids = append(ids, acme.IPIDs(addr.String())...)
	}
	return ids
}

// register makes the account, or finds it by its key.
func (a *ACME) register(ctx context.Context, client *acme.Client) error {
	account := &acme.Account{}
	if a.conf.Email != "" {
		account.Contact = []string{"mailto:" + a.conf.Email}
	}
	_, err := client.Register(ctx, account, acme.AcceptTOS)
	if !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return err
	}
	if a.conf.Email == "" {
		return nil
	}
	// It may be another one than that of the account (RFC 8555 section 7.3.2). No certificate depends on it.
	if _, err := client.UpdateReg(ctx, account); err != nil {
		a.conf.Log.Warn("the ACME server was not told the e-mail address", "error", reasonOf(err))
	}
	return nil
}

// authorize shows that one name leads here.
func (a *ACME) authorize(ctx context.Context, client *acme.Client, url, kind string) error {
	authz, err := client.GetAuthorization(ctx, url)
	if err != nil {
		return err
	}
	if authz.Status == acme.StatusValid {
		return nil // of a while ago
	}
	at := slices.IndexFunc(authz.Challenges, func(c *acme.Challenge) bool { return c.Type == kind })
	if at < 0 {
		return fmt.Errorf("the ACME server does not offer it for %s", authz.Identifier.Value)
	}
	challenge := authz.Challenges[at]
	withdraw, err := a.challenges.prepare(client, challenge, authz.Identifier.Value)
	if err != nil {
		return err
	}
	defer withdraw()
	if _, err := client.Accept(ctx, challenge); err != nil {
		return err
	}
	_, err = client.WaitAuthorization(ctx, authz.URI)
	return err
}

// finish has the certificate signed, once all is authorized.
func (a *ACME) finish(ctx context.Context, client *acme.Client, order *acme.Order) (*tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	request := &x509.CertificateRequest{Subject: pkix.Name{}, DNSNames: a.names, IPAddresses: toIPs(a.addrs)}
	csr, err := x509.CreateCertificateRequest(rand.Reader, request, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, csr, true)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pair, err := makePair(key, chain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUseless, err)
	}
	if !covers(pair.Leaf, a.names, a.addrs) {
		return nil, fmt.Errorf("%w: it is not for all that was ordered", errUseless)
	}
	if !pair.Leaf.NotAfter.After(pair.Leaf.NotBefore) {
		return nil, fmt.Errorf("%w: it is never valid", errUseless)
	}
	return pair, nil
}

// errUseless is for a certificate that was given, which authorities do only so often, and is not to be shown.
var errUseless = errors.New("the certificate is of no use")

// keep writes a certificate and its key to the cache.
func (a *ACME) keep(cert *tls.Certificate) error {
	data, err := encodePair(cert.PrivateKey, cert.Certificate)
	if err != nil {
		return err
	}
	return replaceFile(a.pairFile(), data)
}

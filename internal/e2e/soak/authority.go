package soak

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs the certificates of a server, one after another.
type Authority struct {
	Roots *x509.CertPool
	Cert  string // paths of the files with the newest certificate and its key
	Key   string

	dir, host string
	issuer    *x509.Certificate
	key       *ecdsa.PrivateKey
	serial    int64
}

// NewAuthority makes an authority, and a first certificate in the files of dir, for a host name and 127.0.0.1.
func NewAuthority(dir, host string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the soak"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a := &Authority{
		Roots: x509.NewCertPool(), dir: dir, host: host, key: key, serial: 1,
		Cert: filepath.Join(dir, "now", "cert.pem"), Key: filepath.Join(dir, "now", "key.pem"),
	}
	if a.issuer, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.Roots.AddCert(a.issuer)
	return a, a.Renew()
}

// Serial is that of the newest certificate.
func (a *Authority) Serial() int64 { return a.serial }

// Renew puts a new certificate with a new key in the place of the old ones, both at once: the folder of the
// files is a link that is replaced, as Kubernetes does it.
func (a *Authority) Renew() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	a.serial++
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: a.host}, DNSNames: []string{a.host},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   a.issuer.NotBefore, NotAfter: a.issuer.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.issuer, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	folder := fmt.Sprintf("pair%d", a.serial)
	if err := os.MkdirAll(filepath.Join(a.dir, folder), 0o700); err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	link := filepath.Join(a.dir, "next")
	if err := os.Symlink(folder, link); err != nil {
		return err
	}
	return os.Rename(link, filepath.Join(a.dir, "now"))
}

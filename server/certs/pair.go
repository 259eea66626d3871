package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
)

// newKey draws a key that every client of today can check signatures of.
func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// encodePair writes a key and its chain in PEM form, the key first.
func encodePair(key crypto.PrivateKey, chain [][]byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	pem.Encode(&buf, &pem.Block{Type: "PRIVATE KEY", Bytes: der}) //nolint:errcheck // to memory
	for _, c := range chain {
		pem.Encode(&buf, &pem.Block{Type: "CERTIFICATE", Bytes: c}) //nolint:errcheck // to memory
	}
	return buf.Bytes(), nil
}

// errNoKey says that a file of ours holds no private key.
var errNoKey = errors.New("no private key in it")

// decodePair reads what encodePair has written. The certificate is nil where there is none that fits the key.
func decodePair(data []byte) (crypto.Signer, *tls.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, nil, errNoKey
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, nil, errNoKey
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return key, nil, nil //nolint:nilerr // the key is what counts: certificates can be had again
	}
	return key, &pair, nil
}

// makePair joins a chain and its key.
func makePair(key crypto.Signer, chain [][]byte) (*tls.Certificate, error) {
	data, err := encodePair(key, chain)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// covers reports whether a certificate is for all of the names and addresses.
func covers(leaf *x509.Certificate, names []string, addrs []netip.Addr) bool {
	haveNames, haveAddrs := identities(leaf)
	for _, n := range names {
		if !slices.Contains(haveNames, n) {
			return false
		}
	}
	for _, a := range addrs {
		if !slices.Contains(haveAddrs, a) {
			return false
		}
	}
	return true
}

func toIPs(addrs []netip.Addr) []net.IP {
	var out []net.IP
	for _, a := range addrs {
		out = append(out, a.AsSlice())
	}
	return out
}

// replaceFile writes a file that only its owner may read, so that at any time either the old or the new one is
// there as a whole. Errors do not repeat the path.
func replaceFile(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return withoutPath(err)
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name()) //nolint:errcheck // the first error is the one to tell
		}
	}()
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return withoutPath(err)
	}
	if err = os.Rename(file.Name(), path); err != nil {
		var link *os.LinkError
		if errors.As(err, &link) {
			err = link.Err
		}
		return fmt.Errorf("rename: %w", err)
	}
	return nil
}

package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"
)

// liar is an ACME server of which every answer can be another one. It takes all signatures for good.
type liar struct {
	*httptest.Server
	odd  map[string]http.HandlerFunc // by path, in place of the honest answer
	sign func(csr *x509.CertificateRequest) []byte
	cert []byte
}

func newLiar(t *testing.T) (*liar, ACMEConfig, *syncBuffer) {
	t.Helper()
	l := &liar{odd: map[string]http.HandlerFunc{}}
	l.Server = httptest.NewTLSServer(http.HandlerFunc(l.answer))
	t.Cleanup(l.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	conf := acmeConfig(t, &log)
	conf.Directory, conf.CAFile, conf.Dial, conf.Timeout = l.URL+"/dir", file, new(net.Dialer).DialContext, time.Minute
	return l, conf, &log
}

// answer is the least that an order needs; its names are authorized already.
func (l *liar) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Replay-Nonce", "bm9uY2U")
	if odd := l.odd[r.URL.Path]; odd != nil {
		odd(w, r)
		return
	}
	say := func(status int, v any) {
		w.Header().Set("Location", l.URL+"/made")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v) //nolint:errcheck // a test
	}
	order := map[string]any{"status": "ready", "finalize": l.URL + "/finalize", "authorizations": []string{}}
	switch r.URL.Path {
	case "/dir":
		say(http.StatusOK, map[string]string{"newNonce": l.URL + "/nonce", "newAccount": l.URL + "/account", "newOrder": l.URL + "/order"})
	case "/nonce":
	case "/account":
		say(http.StatusCreated, map[string]string{"status": "valid"})
	case "/order":
		say(http.StatusCreated, order)
	case "/made":
		say(http.StatusOK, order)
	case "/finalize":
		l.finalize(r)
		order["status"], order["certificate"] = "valid", l.URL+"/cert"
		say(http.StatusOK, order)
	case "/cert":
		pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: l.cert}) //nolint:errcheck // a test
	}
}

func (l *liar) finalize(r *http.Request) {
	var jws, request struct{ Payload, CSR string }
	if json.NewDecoder(r.Body).Decode(&jws) != nil {
		return
	}
	payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	if json.Unmarshal(payload, &request) != nil {
		return
	}
	der, _ := base64.RawURLEncoding.DecodeString(request.CSR)
	if csr, err := x509.ParseCertificateRequest(der); err == nil {
		l.cert = l.sign(csr)
	}
}

// signed is a certificate for a request, valid from then for life.
func signed(csr *x509.CertificateRequest, from time.Time, life time.Duration, names []string) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: from.Add(life), DNSNames: names, IPAddresses: csr.IPAddresses}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, csr.PublicKey, key)
	if err != nil {
		return nil
	}
	return der
}

// TestACMELiars has an ACME server answer what it should not. Each costs one attempt, in bounded time and memory.
func TestACMELiars(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/order" || r.URL.Path == "/account" {
			w.WriteHeader(http.StatusCreated)
		}
		fmt.Fprint(w, `{"newNonce": "`) //nolint:errcheck // a test
		junk := []byte(strings.Repeat("x", 1<<16))
		for range maxBody/len(junk) + 16 {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
		fmt.Fprint(w, `"}`) //nolint:errcheck // a test
	}
	silent := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // only then is it seen that the client has gone
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // an empty 200 could still overtake the client's own end
	}
	honest := func(csr *x509.CertificateRequest) []byte {
		return signed(csr, time.Now().Add(-time.Hour), 2*time.Hour, csr.DNSNames)
	}
	for name, tt := range map[string]struct {
		path    string
		odd     http.HandlerFunc
		sign    func(*x509.CertificateRequest) []byte
		want    string
		useless bool
	}{
		"an honest one":        {sign: honest},
		"an endless directory": {path: "/dir", odd: endless, want: errLongBody.Error()},
		"an endless account":   {path: "/account", odd: endless, want: "account"},
		"an endless order":     {path: "/order", odd: endless, want: "order"},
		"an endless chain":     {path: "/cert", odd: endless, want: "certificate"},
		"clear text": {path: "/dir", odd: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, want: errClear.Error()},
		"around in circles":        {path: "/dir", odd: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/dir", http.StatusFound) }, want: "redirects"},
		"silence":                  {path: "/order", odd: silent, want: "deadline"},
		"a page":                   {path: "/dir", odd: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, want: "invalid character"},
		"a certificate of no life": {sign: func(csr *x509.CertificateRequest) []byte { return signed(csr, time.Now(), 0, csr.DNSNames) }, want: "never valid", useless: true},
		"a certificate for others": {sign: func(csr *x509.CertificateRequest) []byte {
			return signed(csr, time.Now(), time.Hour, []string{"other.example"})
		}, want: "not for all", useless: true},
	} {
		t.Run(name, func(t *testing.T) {
			l, conf, _ := newLiar(t)
			if l.sign = tt.sign; l.sign == nil {
				l.sign = honest
			}
			if tt.odd != nil {
				l.odd[tt.path] = tt.odd
			}
			if name == "silence" {
				conf.Timeout = 300 * time.Millisecond
			}
			a := newACME(t, conf)
			defer a.transport.CloseIdleConnections()
			cert, err := a.attempt(t.Context(), kindHTTP)
			if tt.want == "" {
				if err != nil || cert == nil {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || isRefusal(err) != tt.useless {
				t.Errorf("got %v (refused %v), want %s", err, isRefusal(err), tt.want)
			}
		})
	}
}

// TestACMEAddress tells the e-mail address for an account of before, too. A server that does not take it gives its
// certificate all the same.
func TestACMEAddress(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusForbidden} {
		l, conf, log := newLiar(t)
		l.sign = func(csr *x509.CertificateRequest) []byte {
			return signed(csr, time.Now().Add(-time.Hour), 2*time.Hour, csr.DNSNames)
		}
		l.odd["/account"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", l.URL+"/known")
			fmt.Fprint(w, `{"status": "valid"}`) //nolint:errcheck // a test
		}
		told := make(chan string, 1)
		l.odd["/known"] = func(w http.ResponseWriter, r *http.Request) {
			var jws struct{ Payload string }
			json.NewDecoder(r.Body).Decode(&jws) //nolint:errcheck // then there is no payload
			payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
			told <- string(payload)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"status": "valid", "detail": %q}`, strings.Repeat("no ", 4*maxReason)) //nolint:errcheck // a test
		}
		conf.Email = "new@dns.example"
		a := newACME(t, conf)
		cert, err := a.attempt(t.Context(), kindHTTP)
		a.transport.CloseIdleConnections()
		if err != nil || cert == nil || strings.Contains(log.String(), "was not told") != (status != http.StatusOK) || len(log.String()) > 2*maxReason {
			t.Errorf("%d: %v\n%s", status, err, log.String())
		}
		select {
		case got := <-told:
			if got != `{"contact":["mailto:new@dns.example"]}` {
				t.Errorf("told %s", got)
			}
		default:
			t.Error("not told")
		}
	}
}

// TestACMEShortLives: however short the lives of certificates are, there is a pause between them.
func TestACMEShortLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		a := newACME(t, acmeConfig(t, &log))
		asked := 0
		a.obtain = func(context.Context, string) (*tls.Certificate, error) {
			asked++
			return testPair(t, "short", time.Now(), time.Second, "dns.example"), nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		go a.Run(ctx)
		time.Sleep(10*renewWait + time.Second)
		cancel()
		synctest.Wait()
		if asked != 11 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// TestACMERetryWithinLimits: whoever reloads over and over does not make a limit of the ACME server any longer.
func TestACMERetryWithinLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		a := newACME(t, acmeConfig(t, &log))
		var asked atomic.Int64
		a.obtain = func(context.Context, string) (*tls.Certificate, error) {
			if asked.Add(1) == 2 {
				return nil, errors.New("connection refused")
			}
			return nil, fmt.Errorf("order: %w", &acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Detail: strings.Repeat("x", 10*maxReason), Header: http.Header{"Retry-After": {"3600"}}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		go a.Run(ctx)
		for range 59 {
			time.Sleep(time.Minute)
			a.Retry()
		}
		synctest.Wait()
		if asked.Load() != 1 {
			t.Errorf("asked %d times within the limit", asked.Load())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if asked.Load() < 2 {
			t.Error("not asked after the limit")
		}
		if int64(len(log.String())) > asked.Load()*2*maxReason {
			t.Errorf("%d octets of log for %d attempts", len(log.String()), asked.Load())
		}
		cancel()
		synctest.Wait()
	})
}

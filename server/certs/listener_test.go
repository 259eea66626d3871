package certs

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
)

// resumer dials with the same cache of sessions each time and reports whether the session was an old one.
func resumer(t *testing.T, version uint16) func(address, proto string) bool {
	cache := tls.NewLRUClientSessionCache(4)
	return func(address, proto string) bool {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{
			InsecureSkipVerify: true, ServerName: "dns.example", ClientSessionCache: cache, NextProtos: []string{proto}, MaxVersion: version,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write([]byte("x"))    //nolint:errcheck // the read tells
		conn.Read(make([]byte, 1)) //nolint:errcheck // has the ticket read, which comes first
		return conn.ConnectionState().DidResume
	}
}

// TestTickets resumes a session at another listener, and after the certificate was replaced.
func TestTickets(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var source atomic.Pointer[SelfSigned]
		source.Store(selfSigned(t, SelfSignedConfig{}))
		tickets := new(Tickets)
		get := func() Source { return source.Load() }
		dot, doh := serve(t, Config(get, tickets, "dot")), serve(t, Config(get, tickets, "h2"))
		stranger := serve(t, Config(get, new(Tickets), "dot"))

		dial := resumer(t, version)
		if dial(dot, "dot") {
			t.Error("a session before there was one")
		}
		if !dial(doh, "h2") {
			t.Error("no session at the other listener")
		}
		source.Store(selfSigned(t, SelfSignedConfig{}))
		if !dial(dot, "dot") {
			t.Error("no session after the certificate was replaced")
		}
		if dial(stranger, "dot") {
			t.Error("a session with keys of its own")
		}
	}
}

func TestProtocols(t *testing.T) {
	s := selfSigned(t, SelfSignedConfig{})
	address := serve(t, Config(func() Source { return s }, new(Tickets), "h2", "http/1.1"))
	none := serve(t, Config(func() Source { return nil }, new(Tickets), "dot"))
	for _, tt := range []struct {
		address string
		offer   []string
		version uint16
		want    string // "-": no connection
	}{
		{address, nil, 0, ""},
		{address, []string{"http/1.1", "h2"}, 0, "h2"},
		{address, []string{ChallengeProto, "http/1.1"}, 0, "http/1.1"},
		{address, []string{"dot"}, 0, "-"},
		{address, []string{ChallengeProto}, 0, "-"},
		{address, []string{ChallengeProto, "dot"}, 0, "-"},
		{address, []string{"h2"}, tls.VersionTLS11, "-"},
		{none, []string{"dot"}, 0, "-"},
	} {
		got := "-"
		conn, err := tls.Dial("tcp", tt.address, &tls.Config{InsecureSkipVerify: true, NextProtos: tt.offer, MinVersion: tls.VersionTLS10, MaxVersion: tt.version})
		if err == nil {
			got = conn.ConnectionState().NegotiatedProtocol
			conn.Close()
		}
		if got != tt.want {
			t.Errorf("offered %q: %q, want %q (%v)", tt.offer, got, tt.want, err)
		}
	}
}

package e2e

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// dialDNS opens a socket to a server. from is the address of this end; "" is for the system to choose.
func dialDNS(t testing.TB, network, server, from string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		ip := net.ParseIP(from)
		dialer.LocalAddr = &net.TCPAddr{IP: ip}
		if network == "udp" {
			dialer.LocalAddr = &net.UDPAddr{IP: ip}
		}
	}
	conn, err := dialer.DialContext(t.Context(), network, server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// framed is a message with its length, as it goes over TCP.
func framed(m []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

// readFramed reads one message from a TCP connection.
func readFramed(conn net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	m := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, m)
	return m, err
}

// exchangeRaw sends bytes over a socket of their own and returns the one reply.
func exchangeRaw(t testing.TB, network, server string, request []byte) []byte {
	t.Helper()
	return exchangeFrom(t, network, server, "", request)
}

// exchangeFrom is exchangeRaw from a chosen address.
func exchangeFrom(t testing.TB, network, server, from string, request []byte) []byte {
	t.Helper()
	conn := dialDNS(t, network, server, from)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(12 * time.Second)) //nolint:errcheck // the read says so
	reply := make([]byte, 65536)
	if network == "tcp" {
		if _, err := conn.Write(framed(request)); err != nil {
			t.Fatal(err)
		}
		reply, err := readFramed(conn)
		if err != nil {
			t.Fatalf("no reply by TCP to %x: %v", request, err)
		}
		return reply
	}
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(reply)
	if err != nil {
		t.Fatalf("no reply by UDP to %x: %v", request, err)
	}
	return reply[:n]
}

// exchange sends a message and returns the reply.
func exchange(t testing.TB, network, server string, query *dns.Msg) *dns.Msg {
	t.Helper()
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(exchangeRaw(t, network, server, packed)); err != nil {
		t.Fatal(err)
	}
	return reply
}

// question is a packed question with EDNS.
func question(t testing.TB, id uint16, name string, rrtype uint16) []byte {
	t.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), rrtype)
	query.Id = id
	query.SetEdns0(1232, false)
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// answerLimit is how large an answer may be over HTTP, in bytes.
const answerLimit = 1 << 16

// Asker asks one question at a time, and hands out the whole answer. Its methods are not for concurrent use.
type Asker struct {
	server    netip.AddrPort
	transport Transport
	timeout   time.Duration
	tls       *tls.Config
	conn      *dns.Conn    // of UDP, TCP and TLS, kept open
	http      *http.Client // of DoH
}

// NewAsker asks a server over a transport; each question waits for its answer at most for timeout. The
// certificate must be valid by trust.
func NewAsker(server netip.AddrPort, t Transport, timeout time.Duration, trust *tls.Config) *Asker {
	a := &Asker{server: server, transport: t, timeout: timeout, tls: trust}
	if t == DoH {
		a.http = &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}}
	}
	return a
}

// Close closes the connection.
func (a *Asker) Close() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
	if a.http != nil {
		a.http.CloseIdleConnections()
	}
}

// Ask asks for the A record of a name.
func (a *Asker) Ask(ctx context.Context, name string) (*dns.Msg, error) {
	if a.transport == DoH {
		return a.askHTTP(ctx, name)
	}
	reply, err := a.exchange(ctx, name)
	if err != nil {
		a.Close()
	}
	return reply, err
}

func (a *Asker) exchange(ctx context.Context, name string) (*dns.Msg, error) {
	network := map[Transport]string{UDP: "udp", UDPBurst: "udp", TCP: "tcp", DoT: "tcp-tls"}[a.transport]
	client := &dns.Client{Net: network, Timeout: a.timeout, TLSConfig: a.tls}
	if a.conn == nil {
		conn, err := client.DialContext(ctx, a.server.String())
		if err != nil {
			return nil, err
		}
		a.conn = conn
	}
	request := new(dns.Msg)
	request.SetQuestion(name, dns.TypeA)
	reply, _, err := client.ExchangeWithConnContext(ctx, request, a.conn)
	return reply, err
}

func (a *Asker) askHTTP(ctx context.Context, name string) (*dns.Msg, error) {
	url, err := URL(a.server, name)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/dns-message")
	response, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		return nil, fmt.Errorf("%s with %s", response.Status, response.Proto)
	}
	reply := new(dns.Msg)
	return reply, reply.Unpack(data)
}

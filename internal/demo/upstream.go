package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// bigTexts is how many TXT records big.example.org has: more than any UDP answer holds.
const bigTexts = 40

// upstream is an authoritative DNS server for a few ICANN names, so that the demo has something to
// forward to without a network.
type upstream struct {
	rrs     map[string][]dns.RR // by owner, in lower case
	addr    string
	servers [2]*dns.Server // UDP, TCP
	done    chan error     // one for each server
}

// upstreamZones are the zones served (RFC 2606, RFC 6761).
func upstreamZones() []string { return []string{"example.org.", "example.com.", "example.net."} }

// rootRecords are a root in which nothing else exists.
func rootRecords() []string {
	return []string{
		". 86400 SOA ns1.example.net. hostmaster.example.net. 1 1800 900 604800 300",
		". 86400 NS ns1.example.net.",
	}
}

func upstreamRecords() []string {
	records := rootRecords()
	for i, zone := range upstreamZones() {
		records = append(records,
			fmt.Sprintf("%s 3600 SOA ns1.example.net. hostmaster.%s 1 7200 3600 1209600 300", zone, zone),
			fmt.Sprintf("%s 3600 NS ns1.example.net.", zone),
			fmt.Sprintf("%s 300 A 198.51.100.%d", zone, i+1),
			fmt.Sprintf("www.%s 300 A 198.51.100.%d", zone, 80+i),
			fmt.Sprintf("www.%s 300 AAAA 2001:db8:1::%d", zone, 80+i),
			fmt.Sprintf("www.%s 300 TXT \"a name of the ordinary DNS\"", zone))
	}
	records = append(records,
		"ns1.example.net. 3600 A 198.51.100.53",
		"onchain.example.org. 300 CNAME alice.eth.")
	for i := range bigTexts {
		records = append(records, fmt.Sprintf("big.example.org. 300 TXT \"%02d %s\"", i, strings.Repeat("x", 200)))
	}
	return records
}

// startUpstream serves on one port of 127.0.0.1, by UDP and TCP.
func startUpstream() (*upstream, error) {
	u := &upstream{rrs: map[string][]dns.RR{}, done: make(chan error, 2)}
	for _, text := range upstreamRecords() {
		rr, err := dns.NewRR(text)
		if err != nil {
			return nil, fmt.Errorf("record %q: %w", text, err)
		}
		owner := dns.CanonicalName(rr.Header().Name)
		u.rrs[owner] = append(u.rrs[owner], rr)
	}
	packets, listener, err := listenBoth()
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	u.addr = listener.Addr().String()
	handler := dns.HandlerFunc(u.serve)
	u.servers = [2]*dns.Server{
		{PacketConn: packets, Handler: handler},
		{Listener: listener, Handler: handler, ReadTimeout: 5 * time.Second},
	}
	for _, server := range u.servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { u.done <- server.ActivateAndServe() }()
		<-started
	}
	return u, nil
}

// listenBoth finds a port that is free for UDP and for TCP.
func listenBoth() (net.PacketConn, net.Listener, error) {
	var failed error
	for range 10 {
		listener, err := net.Listen("tcp", loopback(0))
		if err != nil {
			return nil, nil, err
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return packets, listener, nil
		}
		failed = errors.Join(err, listener.Close())
	}
	return nil, nil, failed
}

func (u *upstream) close(ctx context.Context) error {
	var failed error
	for _, server := range u.servers {
		failed = errors.Join(failed, server.ShutdownContext(ctx))
	}
	for range u.servers {
		failed = errors.Join(failed, <-u.done)
	}
	return failed
}

func (u *upstream) serve(w dns.ResponseWriter, request *dns.Msg) {
	reply := new(dns.Msg).SetReply(request)
	if request.Opcode != dns.OpcodeQuery || len(request.Question) != 1 {
		reply.SetRcode(request, dns.RcodeRefused)
	} else {
		u.answer(reply, request.Question[0])
	}
	size := dns.MinMsgSize
	if opt := request.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
		reply.SetEdns0(dns.DefaultMsgSize, false)
	}
	if _, ok := w.RemoteAddr().(*net.TCPAddr); ok {
		size = dns.MaxMsgSize
	}
	reply.Truncate(size)
	_ = w.WriteMsg(reply) // a client that has gone asks again
}

// answer fills in the records for one question: RFC 1034 section 4.3.2 for zones without cuts.
func (u *upstream) answer(reply *dns.Msg, q dns.Question) {
	name := dns.CanonicalName(q.Name)
	zone := zoneOf(name)
	if q.Qclass != dns.ClassINET {
		reply.Rcode = dns.RcodeRefused
		return
	}
	reply.Authoritative = true
	for _, rr := range u.rrs[name] {
		rrtype := rr.Header().Rrtype
		if rrtype == q.Qtype || rrtype == dns.TypeCNAME || q.Qtype == dns.TypeANY {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) > 0 {
		return
	}
	if !u.exists(name) {
		reply.Rcode = dns.RcodeNameError
	}
	reply.Ns = append(reply.Ns, u.rrs[zone][0]) // the SOA comes first
}

// exists tells whether a name, or one below it, has records (RFC 8020).
func (u *upstream) exists(name string) bool {
	for owner := range u.rrs {
		if dns.IsSubDomain(name, owner) {
			return true
		}
	}
	return false
}

func zoneOf(name string) string {
	for _, zone := range upstreamZones() {
		if dns.IsSubDomain(zone, name) {
			return zone
		}
	}
	return "."
}

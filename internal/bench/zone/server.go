package zone

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Server is the authoritative server of the zone.
type Server struct {
	delay   time.Duration
	queries atomic.Uint64
	servers []*dns.Server
	done    sync.WaitGroup
}

// Serve starts a server of the zone on UDP and TCP, which answers slow names after a delay. Close ends it.
func Serve(at netip.AddrPort, delay time.Duration) (*Server, error) {
	s := &Server{delay: delay}
	packets, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("serve the zone: %w", err)
	}
	// A burst of cold names must not be lost here: the kernel grants what it may.
	if err := packets.SetReadBuffer(4 << 20); err != nil {
		packets.Close()
		return nil, fmt.Errorf("serve the zone: %w", err)
	}
	listener, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		packets.Close()
		return nil, fmt.Errorf("serve the zone: %w", err)
	}
	handler := dns.HandlerFunc(s.answer)
	s.servers = []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: listener, Handler: handler}}
	var started sync.WaitGroup
	for _, server := range s.servers {
		started.Add(1)
		server.NotifyStartedFunc = started.Done
		s.done.Go(func() { server.ActivateAndServe() }) //nolint:errcheck // it ends with Close
	}
	started.Wait()
	return s, nil
}

// Addr is the address of both transports.
func (s *Server) Addr() netip.AddrPort {
	return s.servers[0].PacketConn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Queries is how many questions have arrived.
func (s *Server) Queries() uint64 { return s.queries.Load() }

// Close ends the server, and waits at most a second for answers under way.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, server := range s.servers {
		server.ShutdownContext(ctx) //nolint:errcheck // the sockets are closed either way
	}
	s.done.Wait()
}

func (s *Server) answer(w dns.ResponseWriter, request *dns.Msg) {
	s.queries.Add(1)
	reply, slow := Reply(request)
	if slow {
		time.Sleep(s.delay) // the library gives each question a goroutine of its own
	}
	w.WriteMsg(reply) //nolint:errcheck // who asked asks again
}

// Reply is the authoritative reply to a request, and whether it is to be delayed.
func Reply(request *dns.Msg) (reply *dns.Msg, slow bool) {
	reply = new(dns.Msg)
	reply.SetReply(request)
	reply.Authoritative, reply.RecursionAvailable = true, true
	if len(request.Question) != 1 {
		reply.Rcode = dns.RcodeFormatError
		return reply, false
	}
	if opt := request.IsEdns0(); opt != nil {
		reply.SetEdns0(dns.DefaultMsgSize, false)
	}
	q := request.Question[0]
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: TTL}
	i, slow, ok := number(q.Name)
	switch {
	case ok && q.Qtype == dns.TypeA:
		reply.Answer = []dns.RR{&dns.A{Hdr: header, A: Address(i).AsSlice()}}
		return reply, slow
	case dns.CanonicalName(q.Name) == Apex && q.Qtype == dns.TypeNS:
		reply.Answer = []dns.RR{&dns.NS{Hdr: header, Ns: Name(0)}}
		return reply, false
	case dns.CanonicalName(q.Name) == Apex && q.Qtype == dns.TypeSOA:
		reply.Answer = []dns.RR{soa()}
		return reply, false
	}
	if dns.IsSubDomain(Apex, q.Name) && !ok && !isNode(dns.CanonicalName(q.Name)) {
		reply.Rcode = dns.RcodeNameError
	}
	reply.Ns = []dns.RR{soa()}
	return reply, slow
}

// isNode says whether a name exists though it has no address.
func isNode(name string) bool { return name == Apex || name == slowZone[1:] }

func soa() *dns.SOA {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: Apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: TTL},
		Ns:  Name(0), Mbox: "hostmaster." + Apex, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 3600,
	}
}

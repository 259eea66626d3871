package internet

import (
	"sync/atomic"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// typeNXNAME is what a compact denial shows for a name that does not exist (RFC 9824 section 2).
const typeNXNAME = 128

// compact makes a server deny as large operators do, who sign as they answer (RFC 9824): whatever is not
// there is NOERROR, with one NSEC record at the very name.
type compact struct{ signer atomic.Pointer[signed] }

// keep takes the zone's keys when it is signed.
func (c *compact) keep(s *signed) error {
	c.signer.Store(s)
	return nil
}

func (c *compact) fault(x *Exchange) {
	reply, zone := x.Real(), c.signer.Load()
	if reply == nil || zone == nil || x.Query.IsEdns0() == nil || !x.Query.IsEdns0().Do() || x.Type() == dns.TypeDNSKEY {
		x.Send(reply)
		return
	}
	if len(reply.Answer) > 0 && !c.resign(zone, reply) {
		return
	}
	if len(reply.Answer) > 0 && reply.Rcode == dns.RcodeSuccess && !endsOpen(reply) {
		x.Send(reply)
		return
	}
	c.deny(x, zone, reply)
}

// endsOpen tells whether the answer is an alias alone.
func endsOpen(reply *dns.Msg) bool {
	for _, rr := range reply.Answer {
		if t := rr.Header().Rrtype; t != dns.TypeCNAME && t != dns.TypeRRSIG {
			return false
		}
	}
	return reply.Question[0].Qtype != dns.TypeCNAME
}

// resign signs each RRset of an answer under its own name, also where a wildcard made it, so that it needs no
// denial.
func (c *compact) resign(zone *signed, reply *dns.Msg) bool {
	sets := dnssec.Group(reply.Answer)
	reply.Answer, reply.Ns = nil, without(reply.Ns, isDenial)
	for _, set := range sets {
		sig, err := zone.keys[0].sign(set.RRs, zone.now.Add(zone.how.From), zone.now.Add(zone.how.From+zone.how.For))
		if err != nil {
			return false
		}
		reply.Answer = append(append(reply.Answer, set.RRs...), sig)
	}
	return true
}

// deny puts the NSEC record of the name that the question, or the alias in its answer, ends at.
func (c *compact) deny(x *Exchange, zone *signed, reply *dns.Msg) {
	name := x.Name()
	for _, rr := range reply.Answer {
		if alias, ok := rr.(*dns.CNAME); ok {
			name = dns.CanonicalName(alias.Target)
		}
	}
	if !dns.IsSubDomain(zone.zone, name) {
		x.Send(reply)
		return
	}
	nsec := &dns.NSEC{
		Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 600},
		NextDomain: "\\000." + name, TypeBitMap: []uint16{dns.TypeRRSIG, dns.TypeNSEC},
	}
	q := x.Query.Copy()
	q.Question[0] = dns.Question{Name: name, Qtype: dns.TypeNSEC, Qclass: dns.ClassINET}
	if own := x.Ask(q); own != nil && len(own.Answer) > 0 {
		if real, ok := own.Answer[0].(*dns.NSEC); ok {
			nsec.TypeBitMap = real.TypeBitMap
		}
	} else if reply.Rcode == dns.RcodeNameError {
		nsec.TypeBitMap = append(nsec.TypeBitMap, typeNXNAME)
	}
	sig, err := zone.keys[0].sign([]dns.RR{nsec}, zone.now.Add(zone.how.From), zone.now.Add(zone.how.From+zone.how.For))
	if err != nil {
		return
	}
	reply.Rcode = dns.RcodeSuccess
	reply.Ns = append(without(reply.Ns, isDenial), nsec, sig)
	x.Send(reply)
}

// compactZones are signed as their servers answer, with an algorithm that makes the same signature each time.
func compactZones() []Zone {
	var zones []Zone
	for _, name := range []string{"compact.net", "compact.com", "compact.org"} {
		c := new(compact)
		zones = append(zones, Zone{Name: name, Group: "compact denial", Sign: &Signing{Alg: dns.ED25519}, Break: c.keep, Servers: []Server{{Site: "nsd", Fault: c.fault}}})
	}
	return zones
}

package internet

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The names of the attack zones.
const (
	nxnsZone    = "nxns.com"
	victimZone  = "attacked.org"
	keyTrapZone = "keytrap.net"
	hashZone    = "hashes.net"
	circleZone  = "tsuname.com"
	campZone    = "camp.com"
	crowdZone   = "crowd.com"
	nxnsNames   = 80
)

// attackZones cost a resolver, or somebody by way of it, more than they cost the attacker.
func attackZones() []Zone {
	const g = "attacks"
	return []Zone{
		// NXNSAttack: referrals with many names, without addresses, in a zone of the victim's.
		{Name: nxnsZone, Group: g, Bare: true, Servers: []Server{{Fault: nxns}}},
		{Name: victimZone, Group: g, Servers: []Server{{Site: "nsd", Fault: healthy}}},
		{Name: keyTrapZone, Group: g, Sign: &Signing{Alg: dns.RSASHA256}, Servers: []Server{{Site: "nsd"}}, Break: keyTrap},
		// As many rounds as resolvers still take, and names with many labels.
		{Name: hashZone, Group: g, Sign: &Signing{NSEC3: &NSEC3{Iterations: 50, Salt: strings.Repeat("AB", 200)}}, Servers: []Server{{Site: "nsd", Fault: healthy}}},
		// TsuNAME: two zones whose servers are in each other.
		{Name: circleZone, Group: g, Bare: true, Servers: []Server{{Site: "nsd", Name: "ns.tsuname.org"}}},
		{Name: "tsuname.org", Group: g, Bare: true, Servers: []Server{{Site: "nsd", Name: "ns.tsuname.com"}}},
		// CAMP: aliases, each of them to a name with many labels in a zone cut of its own without glue.
		{Name: campZone, Group: g, Bare: true, Servers: []Server{{Fault: camp}}},
		{Name: crowdZone, Group: g, Bare: true, Servers: []Server{{Fault: crowd}}},
	}
}

// nxns refers every name below the zone to servers that do not exist, in the victim's zone.
func nxns(x *Exchange) {
	reply := new(dns.Msg).SetReply(x.Query)
	labels := dns.SplitDomainName(x.Name())
	if len(labels) <= 2 {
		reply.Authoritative = true
		reply.Ns = []dns.RR{mustRR(nxnsZone + ". 60 SOA ns1." + nxnsZone + ". h." + nxnsZone + ". 1 1 1 1 1")}
		x.Send(reply)
		return
	}
	cut := dns.Fqdn(strings.Join(labels[len(labels)-3:], "."))
	for i := range nxnsNames {
		reply.Ns = append(reply.Ns, &dns.NS{Hdr: header(cut, dns.TypeNS), Ns: fmt.Sprintf("%s-%d.%s.", labels[len(labels)-3], i, victimZone)})
	}
	x.sendWhole(reply)
}

// crowd answers with as many records as a message holds: an answer, or a referral below ref.
func crowd(x *Exchange) {
	reply := new(dns.Msg).SetReply(x.Query)
	reply.Authoritative = true
	name := x.Query.Question[0].Name
	switch {
	case !x.TCP && (x.Type() == dns.TypeA || strings.Contains(x.Name(), "ref.")):
		reply.Truncated = true
	case strings.Contains(x.Name(), "ref."):
		reply.Authoritative = false
		cut := header("ref."+crowdZone+".", dns.TypeNS)
		for i := range 10_000 {
			reply.Ns = append(reply.Ns, &dns.NS{Hdr: cut, Ns: "n" + strconv.Itoa(i) + "." + victimZone + "."})
		}
	case x.Type() == dns.TypeA:
		owner := header(name, dns.TypeA)
		for i := range 10_000 {
			reply.Answer = append(reply.Answer, &dns.A{Hdr: owner, A: net.IPv4(203, byte(i/250), byte(i%250), 7)})
		}
	default:
		reply.Ns = []dns.RR{mustRR(crowdZone + ". 60 SOA ns1." + crowdZone + ". h." + crowdZone + ". 1 1 1 1 1")}
	}
	x.sendWhole(reply)
}

// camp answers a name a7 with an alias to b8 in another cut of the zone, and refers cuts to glueless servers
// that are aliases again.
func camp(x *Exchange) {
	reply := new(dns.Msg).SetReply(x.Query)
	reply.Authoritative = true
	labels := dns.SplitDomainName(x.Name())
	var n int
	if len(labels) >= 3 {
		fmt.Sscanf(labels[0], "a%d", &n) //nolint:errcheck // 0 for what is no number
	}
	switch {
	case len(labels) >= 3 && x.Type() != dns.TypeNS:
		long := strings.Repeat(fmt.Sprintf("x%d.", n+1), 10)
		target := fmt.Sprintf("a%d.%s%s.", n+1, long, campZone)
		reply.Answer = []dns.RR{&dns.CNAME{Hdr: header(x.Query.Question[0].Name, dns.TypeCNAME), Target: target}}
	case len(labels) >= 3:
		for i := range 10 {
			reply.Ns = append(reply.Ns, &dns.NS{Hdr: header(x.Name(), dns.TypeNS), Ns: fmt.Sprintf("a%d.s%d.%s.", n+i+1, i, campZone)})
		}
		reply.Authoritative = false
	default:
		reply.Ns = []dns.RR{mustRR(campZone + ". 60 SOA ns1." + campZone + ". h." + campZone + ". 1 1 1 1 1")}
	}
	x.Send(reply)
}

// keyTrap gives a zone many keys of one tag, and each RRset many signatures by it that are none.
func keyTrap(s *signed) error {
	key := s.keys[0]
	junk, err := junkKeys(s.zone, 60, key.KeyTag())
	if err != nil {
		return err
	}
	for _, k := range junk {
		s.add(k)
	}
	if err := s.signSet("@", dns.TypeDNSKEY, s.how.From, s.how.For); err != nil {
		return err
	}
	for _, name := range s.authoritative() {
		for t := range s.sets[name] {
			if t == dns.TypeRRSIG || t == dns.TypeDNSKEY {
				continue
			}
			real := s.sigs(name, t)
			s.dropSigs(name, t)
			for _, sig := range real {
				for i := range 60 {
					bad := *sig
					bad.Signature = corrupt(bad.Signature)
					bad.Expiration += uint32(i * int(time.Minute/time.Second))
					s.add(&bad)
				}
			}
		}
	}
	return nil
}

// sendWhole sends a reply by TCP with as many records as a message holds; by UDP as it is.
func (x *Exchange) sendWhole(m *dns.Msg) {
	if x.TCP {
		// The first of them that fit: Msg.Truncate would take long to find out.
		const most = 64_000
		size := 12 + len(x.Name()) + 6
		for _, section := range []*[]dns.RR{&m.Answer, &m.Ns} {
			for i, rr := range *section {
				if size += 12 + 16; rr.Header().Rrtype == dns.TypeNS {
					size += 8
				}
				if size > most {
					*section = (*section)[:i]
					break
				}
			}
		}
	}
	x.Send(m)
}

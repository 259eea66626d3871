package internet

import (
	"strings"
	"time"

	"github.com/miekg/dns"
)

// few are the questions that are asked where each takes long.
var few = []string{"www A", "missing A"}

// serverZones are right in themselves; some of their servers are not. A zone of each fault has a good
// second server; where the fault is one that a resolver gets around, or must give up at, another zone has
// none.
func serverZones() []Zone {
	type row struct {
		name  string
		fault Fault
		alone bool // there is also a zone with this server only
		slow  bool // questions there take long
		sign  bool // the zone is there signed as well
	}
	rows := []row{
		{name: "dropedns", fault: dropEDNS, alone: true, slow: true},
		{name: "formerredns", fault: formerrEDNS, alone: true, sign: true},
		{name: "formerrbare", fault: formerrBare, alone: true},
		{name: "notimpedns", fault: notimpEDNS, alone: true},
		{name: "stripedns", fault: stripEDNS, alone: true, sign: true},
		{name: "badvers", fault: badvers, alone: true, sign: true},
		{name: "echoopt", fault: echoOPT, alone: true},
		{name: "truncated", fault: truncated, alone: true, sign: true},
		{name: "halftruncated", fault: halfTruncated, alone: true, slow: true},
		{name: "tcponly", fault: tcpOnly, slow: true},
		{name: "lossy", fault: lostEvery(4), alone: true, slow: true},
		{name: "slowtcp", fault: slowTCP(300 * time.Millisecond), alone: true},
		{name: "refused", fault: rcode(dns.RcodeRefused), alone: true, sign: true},
		{name: "servfail", fault: rcode(dns.RcodeServerFailure), alone: true, sign: true},
		{name: "notimp", fault: rcode(dns.RcodeNotImplemented), alone: true},
		{name: "formerr", fault: rcode(dns.RcodeFormatError), alone: true},
		{name: "notauth", fault: rcode(dns.RcodeNotAuth), alone: true},
		{name: "upward", fault: upward, alone: true, sign: true},
		{name: "notauthoritative", fault: notAuthoritative, alone: true, sign: true},
		{name: "emptyreply", fault: emptyReply, alone: true},
		{name: "slow300", fault: after(300 * time.Millisecond), alone: true, slow: true},
		{name: "slow2000", fault: after(2 * time.Second), slow: true},
		{name: "dead", fault: dead, alone: true, slow: true, sign: true},
		{name: "lowercase", fault: lowerCase, alone: true, sign: true},
		{name: "refusemixed", fault: refuseMixed, alone: true},
		{name: "dropmixed", fault: dropMixed, alone: true, slow: true},
		{name: "emptynx", fault: emptyIs(dns.RcodeNameError), alone: true},
		{name: "emptyrefused", fault: emptyIs(dns.RcodeRefused), alone: true},
		{name: "emptyservfail", fault: emptyIs(dns.RcodeServerFailure), alone: true},
		{name: "noaaaa", fault: refuseType(dns.TypeAAAA, dns.RcodeNotImplemented), alone: true},
		{name: "nxaaaa", fault: refuseType(dns.TypeAAAA, dns.RcodeNameError)},
		{name: "refusens", fault: refuseType(dns.TypeNS, dns.RcodeRefused), alone: true},
		{name: "nods", fault: refuseType(dns.TypeDS, dns.RcodeServerFailure), sign: true},
		{name: "wrongid", fault: wrongID, alone: true},
		{name: "wrongquestion", fault: wrongQuestion, alone: true},
		{name: "wrongport", fault: wrongPort, alone: true, sign: true},
		{name: "garbage", fault: garbage, slow: true},
		{name: "hugegarbage", fault: hugeGarbage, slow: true},
		{name: "loopingname", fault: loopingName, slow: true},
		{name: "echo", fault: echo, slow: true},
		{name: "echoanswer", fault: echoAnswer, slow: true},
		{name: "poison", fault: poison("victim.com."), alone: true, sign: true},
	}
	var zones []Zone
	add := func(name, group string, slow bool, sign *Signing, servers ...Server) {
		z := Zone{Name: name, Group: group, Sign: sign, Servers: servers, Few: slow}
		if slow {
			z.Ask = few
		}
		zones = append(zones, z)
	}
	for _, r := range rows {
		bad, good := Server{Site: "nsd", Fault: r.fault}, Server{Site: "knot"}
		add(r.name+"2.net", "servers, one good", r.slow, nil, bad, good)
		if r.alone {
			add(r.name+".com", "servers alone", r.slow, nil, bad)
		}
		if r.sign {
			add(r.name+"s.net", "servers, one good", r.slow, &Signing{}, bad, good)
			if r.alone {
				add(r.name+"s1.net", "servers alone", r.slow, &Signing{}, bad)
			}
		}
	}
	add("sideways.com", "servers alone", false, nil, Server{Site: "nsd", Fault: sideways("sideways.com.")})
	add("otherzone.com", "servers alone", false, nil, Server{Site: "nsd", Fault: otherZone("www.plain.com.")})
	return zones
}

// delegationZones are reached in odd ways.
func delegationZones() []Zone {
	deep := strings.Repeat("d.", 18) // labels between zone and cut
	const g = "delegation"
	ns := func(names ...string) []Server {
		var out []Server
		for i, n := range names {
			out = append(out, Server{Site: []string{"nsd", "knot"}[i%2], Name: n})
		}
		return out
	}
	return []Zone{
		{Name: "hoster.net", Group: g, Sign: &Signing{}, Records: "nsalias CNAME ns1\n"},
		{Name: "hoster.org", Group: g},
		{Name: "glueless.com", Group: g, Servers: ns("ns1.hoster.net", "ns2.hoster.net")},
		{Name: "gluelesssigned.net", Group: g, Sign: &Signing{}, Servers: ns("ns1.hoster.org", "ns2.hoster.org")},
		{Name: "glueless2.com", Group: g, Servers: ns("ns1.glueless.com", "ns2.glueless.com")},
		{Name: "glueless3.com", Group: g, Servers: ns("ns1.glueless2.com")},
		{Name: "glueless4.com", Group: g, Servers: ns("ns1.glueless3.com")},
		{Name: "halfglued.com", Group: g, Servers: []Server{{Site: "nsd"}, {Site: "knot", NoGlue: true}}},
		{Name: "mixedglue.com", Group: g, Servers: []Server{{Site: "nsd"}, {Site: "knot", Name: "ns3.hoster.net"}}},
		{Name: "noglue.com", Group: g, Few: true, Ask: few, Servers: []Server{{Site: "nsd", NoGlue: true}}},
		{Name: "circlea.com", Group: g, Few: true, Ask: few, Refer: "@ NS ns.circleb.com.\n", Own: "@ NS ns.circleb.com.\n"},
		{Name: "circleb.com", Group: g, Few: true, Ask: few, Refer: "@ NS ns.circlea.com.\n", Own: "@ NS ns.circlea.com.\n"},
		{Name: "nscname.com", Group: g, Refer: "@ NS nsalias.hoster.net.\n", Own: "@ NS nsalias.hoster.net.\n"},
		{Name: "nscname2.com", Group: g, Refer: "@ NS nsalias.hoster.net.\n@ NS ns1.hoster.net.\n", Own: "@ NS nsalias.hoster.net.\n@ NS ns1.hoster.net.\n"},
		{Name: "nsmissing.com", Group: g, Few: true, Ask: few, Refer: "@ NS missing.hoster.net.\n", Own: "@ NS missing.hoster.net.\n"},
		{Name: "nsmissing2.com", Group: g, Refer: "@ NS missing.hoster.net.\n@ NS ns1.hoster.net.\n", Own: "@ NS missing.hoster.net.\n@ NS ns1.hoster.net.\n"},
		{Name: "childmore.com", Group: g, Servers: []Server{{Site: "nsd"}, {Site: "knot"}}, Refer: "@ NS ns1\nns1 A %nsd%\n"},
		{Name: "childother.com", Group: g, Servers: ns("ns1.hoster.net"), Own: "@ NS ns2.hoster.net.\n"},
		{Name: "childdead.com", Group: g, Servers: ns("ns1.hoster.net"), Own: "@ NS ns.nosuchtld.\n"},
		{Name: "wrongglue.com", Group: g, Refer: "@ NS ns1\n@ NS ns2\nns1 A %nsd%\nns2 A %dead%\n", Own: "@ NS ns1\n@ NS ns2\nns1 A %nsd%\nns2 A %nsd%\n"},
		{Name: "unreachable.com", Group: g, Refer: "@ NS ns1\n@ NS ns2\nns1 A 10.255.255.1\nns2 A %nsd%\n"},
		{Name: "private.com", Group: g, Few: true, Ask: few, Refer: "@ NS ns1\nns1 A 127.0.0.1\n"},
		{Name: "root-ns.com", Group: g, Few: true, Ask: few, Refer: "@ NS a.root-servers.net.\n", Own: "@ NS a.root-servers.net.\n"},
		{Name: "only6.net", Group: g, Sign: &Signing{}, Servers: []Server{{Site: "nsd", Only6: true}, {Site: "knot", Only6: true}}},
		{Name: "only4.net", Group: g, Sign: &Signing{}, Servers: []Server{{Site: "nsd", Only4: true}}},
		{Name: "dead6.com", Group: g, Servers: []Server{{Site: "nsd", Dead6: true}}},
		{Name: strings.TrimSuffix(deep, ".") + ".alg13.com", Group: g, Sign: &Signing{}, Servers: on("nsd-sub")},
		{Name: "a.b.c.plain.com", Group: g, Servers: on("nsd-sub")},
		{Name: "ns-at-cut.net", Group: g, Sign: &Signing{}, Servers: on("nsd"), Ask: []string{"below A", "below NS", "below DS", "x.below A"}},
		{Name: "below.ns-at-cut.net", Group: g, Servers: on("nsd-sub")},
	}
}

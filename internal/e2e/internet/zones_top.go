package internet

import "github.com/miekg/dns"

// Servers that more than one table names.
func rootServers() []Server {
	return []Server{
		{Site: "bind-root", Name: "a.root-servers.net"},
		{Site: "nsd-root", Name: "b.root-servers.net"},
		{Site: "knot-root", Name: "c.root-servers.net"},
	}
}

func gtldServers() []Server {
	return []Server{{Site: "nsd-tld", Name: "a.gtld-servers.net"}, {Site: "knot-tld", Name: "b.gtld-servers.net"}}
}

func on(sites ...string) []Server {
	var out []Server
	for _, s := range sites {
		out = append(out, Server{Site: s})
	}
	return out
}

// topZones are the root and what lies directly below it.
func topZones() []Zone {
	return []Zone{
		{Name: "", Group: "top", Bare: true, Servers: rootServers(), Sign: &Signing{Alg: dns.RSASHA256, Split: true},
			Ask: []string{"@ NS", "@ SOA", "@ DNSKEY", "@ DS", "@ A", "com DS", "xyz DS", "nosuchtld A", "x.nosuchtld AAAA", "com NS", "xyz NS", "uk DS"}},
		{Name: "root-servers.net", Group: "top", Bare: true, Servers: rootServers(),
			Ask: []string{"a A", "a AAAA", "b A", "z A", "@ SOA", "@ DS"}},
		{Name: "com", Group: "top", Bare: true, Servers: gtldServers(), Sign: &Signing{Split: true, NSEC3: &NSEC3{OptOut: true}},
			Ask: []string{"@ NS", "@ SOA", "@ DNSKEY", "@ DS", "@ A", "nosuch A", "nosuch DS", "a.b.nosuch TXT", "plain DS"}},
		{Name: "net", Group: "top", Bare: true, Servers: gtldServers(), Sign: &Signing{Split: true},
			Ask: []string{"@ NS", "@ SOA", "@ DNSKEY", "@ DS", "@ TXT", "nosuch A", "nosuch DS", "a.b.nosuch TXT", "plain DS"}},
		{Name: "gtld-servers.net", Group: "top", Bare: true, Servers: gtldServers(), Ask: []string{"a A", "a AAAA", "b A", "c A"}},
		{Name: "org", Group: "top", Bare: true, Servers: on("knot-tld", "bind-tld"), Sign: &Signing{Alg: dns.RSASHA256, Split: true, NSEC3: &NSEC3{Iterations: 0}},
			Ask: []string{"@ NS", "@ SOA", "@ DNSKEY", "@ DS", "nosuch A", "nosuch DS", "plain DS"}},
		{Name: "arpa", Group: "top", Bare: true, Servers: on("bind-tld", "nsd-tld"), Sign: &Signing{}, Ask: []string{"@ NS", "@ DS", "nosuch PTR", "ns1 A"}},
		{Name: "in-addr.arpa", Group: "top", Bare: true, Servers: on("bind-root", "knot-root"), Sign: &Signing{}, Ask: []string{"@ SOA", "@ DS", "8.8.8 PTR", "8 NS"}},
		{Name: "119.203.in-addr.arpa", Group: "reverse", Bare: true, Servers: on("bind", "nsd"), Sign: &Signing{NSEC3: &NSEC3{Iterations: 1, Salt: "AB"}},
			Records: "3.1 PTR www.alg13.net.\n4.1 CNAME 4.0-7.1\n4.0-7.1 PTR www.alg8.net.\n",
			Ask:     []string{"3.1 PTR", "4.1 PTR", "5.1 PTR", "1 PTR", "3.1 A", "@ DS"}},
		{Name: "uk", Group: "top", Bare: true, Servers: on("bind-tld", "knot-tld"), Sign: &Signing{Split: true},
			Ask: []string{"@ NS", "@ DS", "@ DNSKEY", "nosuch A", "co DS", "co NS", "co A"}},
		{Name: "co.uk", Group: "same server", Bare: true, Servers: on("bind-tld", "knot-tld"), Sign: &Signing{Alg: dns.RSASHA256},
			Ask: []string{"@ NS", "@ SOA", "@ DNSKEY", "@ DS", "nosuch A", "shop DS", "plain DS"}},
		{Name: "de", Group: "top", Bare: true, Servers: on("nsd-tld", "bind-tld"), Sign: &Signing{Alg: dns.RSASHA256, NSEC3: &NSEC3{Iterations: 10, Salt: "BA5EBA11"}},
			Ask: []string{"@ NS", "@ DS", "nosuch A", "plain DS"}},
		{Name: "xyz", Group: "unsigned top", Bare: true, Servers: on("nsd-tld", "knot-tld"), Ask: []string{"@ NS", "@ DS", "@ DNSKEY", "nosuch A", "nosuch DS"}},
	}
}

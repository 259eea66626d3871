package internet

import (
	"fmt"
	"strings"
)

// aliasZones hold CNAME and DNAME records, wildcards and odd names and types.
func aliasZones() []Zone {
	var chain strings.Builder
	for i := 1; i <= 20; i++ {
		fmt.Fprintf(&chain, "c%d CNAME c%d\n", i, i-1)
	}
	chain.WriteString("c0 A 203.119.2.1\n")
	long := strings.Repeat("a23456789.", 20) // 200 octets
	const crossed = `
toplain     CNAME www.plain.net.
tosigned    CNAME www.alg13.net.
tosigned3   CNAME www.alg13.de.
toisland    CNAME www.island.com.
tobogus     CNAME www.badsig.net.
toexpired   CNAME www.expired.net.
tomissing   CNAME missing.alg13.net.
tomissing3  CNAME missing.alg13.de.
tonodata    CNAME mail.alg13.net.
toplainnx   CNAME missing.plain.net.
tonotld     CNAME x.nosuchtld.
towild      CNAME x.wild.alg13.net.
towild3     CNAME x.wild.alg13.de.
toopt       CNAME www.ins.optout.org.
self        CNAME self
ping        CNAME pong
pong        CNAME ping
out         CNAME in.loopb.net.
dname       DNAME target
x.target    A 203.119.2.2
c.target    CNAME www
deep.x.target A 203.119.2.3
dplain      DNAME plain.net.
dsigned     DNAME alg13.net.
dbogus      DNAME badsig.net.
dloop       DNAME dloop
droot       DNAME .
dlong       DNAME ` + "%LONG%" + `
dwild       DNAME wild.alg13.net.
viad        CNAME www.dsigned
*.cw        CNAME www.alg13.net.
*.cwplain   CNAME www.plain.net.
*.cwown     CNAME www
*.cwloop    CNAME x.cwloop
*.cwmiss    CNAME missing
`
	ask := []string{
		"toplain A", "tosigned A", "tosigned AAAA", "tosigned3 A", "toisland A", "tobogus A", "tobogus AAAA", "toexpired A", "tomissing A",
		"tomissing3 A", "tonodata AAAA", "toplainnx A", "tonotld A", "towild A", "towild3 A", "toopt A", "self A", "self CNAME", "ping A", "out A",
		"dname DNAME", "dname A", "x.dname A", "c.dname A", "deep.x.dname A", "y.dname A", "www.dplain A", "www.dsigned A", "missing.dsigned A",
		"www.dbogus A", "x.dloop A", "a.droot A", "x.dlong A", strings.TrimSuffix(long, ".") + ".dlong A", "x.dwild A", "viad A",
		"a.cw A", "b.cw AAAA", "a.cwplain A", "a.cwown A", "a.b.cwown A", "a.cwloop A", "a.cwmiss A", "a.cw CNAME", "a.dname CNAME", "a.dname DNAME",
	}
	records := strings.ReplaceAll(crossed, "%LONG%", long+"example.net.")
	var chainAsk []string
	for _, n := range []int{1, 2, 5, 8, 9, 10, 11, 12, 13, 16, 20} {
		chainAsk = append(chainAsk, fmt.Sprintf("c%d A", n))
	}
	zones := []Zone{
		{Name: "chain.net", Group: "alias chains", Bare: true, Sign: &Signing{}, Records: chain.String(), Ask: chainAsk},
		{Name: "chain.com", Group: "alias chains", Bare: true, Records: chain.String(), Ask: chainAsk, Servers: on("bind", "nsd")},
		{Name: "alias.net", Group: "aliases", Sign: &Signing{}, Records: records, Ask: ask, Servers: on("nsd", "bind")},
		{Name: "alias.de", Group: "aliases", Sign: &Signing{NSEC3: &NSEC3{Iterations: 2, Salt: "AA"}}, Records: records, Ask: ask, Servers: on("nsd", "knot")},
		{Name: "alias.com", Group: "aliases", Records: records, Ask: ask},
		{Name: "loopb.net", Group: "aliases", Records: "in CNAME out.alias.net.\n"},
		{Name: "types.net", Group: "types", Sign: &Signing{}, Records: typeRecords, Ask: typeQuestions()},
		{Name: "types.com", Group: "types", Records: typeRecords, Ask: typeQuestions(), Servers: on("knot", "bind")},
		{Name: "wild.net", Group: "wildcards", Sign: &Signing{}, Records: wildRecords, Ask: wildQuestions},
		{Name: "wild.de", Group: "wildcards", Sign: &Signing{NSEC3: &NSEC3{}}, Records: wildRecords, Ask: wildQuestions, Servers: on("bind", "nsd")},
		{Name: "wild.com", Group: "wildcards", Records: wildRecords, Ask: wildQuestions, Servers: on("knot", "nsd")},
		{Name: "large.net", Group: "large", Sign: &Signing{Alg: 8}, Records: largeRecords(), Ask: []string{"txt TXT", "many A", "mx MX", "huge TXT", "missing.txt A"}},
		{Name: "large.com", Group: "large", Records: largeRecords(), Ask: []string{"txt TXT", "many A", "mx MX", "huge TXT"}, Servers: on("bind", "nsd")},
	}
	// Links over several zones, one after another.
	for i := range 6 {
		next := fmt.Sprintf("hop.hops%d.net.", i+1)
		if i == 5 {
			next = "www.alg8.net."
		}
		zones = append(zones, Zone{Name: fmt.Sprintf("hops%d.net", i), Group: "alias chains", Sign: &Signing{}, Records: "hop CNAME " + next + "\n", Ask: []string{"hop A", "hop TXT"}})
	}
	return zones
}

const typeRecords = `
https   HTTPS 1 . alpn=h2,h3 ipv4hint=203.119.3.1
svcb    SVCB  1 svc.example.net. port=8443
caa     CAA   0 issue "ca.example.net"
tlsa    TLSA  3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
naptr   NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.net!" .
loc     LOC   52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
sshfp   SSHFP 1 2 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
srv     SRV   1 2 443 www
uri     URI   10 1 "https://example.net/"
spf     SPF   "v=spf1 -all"
hinfo   HINFO "PDP-11" "UNIX"
rp      RP    hostmaster.example.net. txt.example.net.
afsdb   AFSDB 1 afs.example.net.
own     TYPE65280 \# 4 0A000001
zero    TYPE65281 \# 0
cds     CDS   0 0 0 00
openpgp OPENPGPKEY AQIDBA==
smimea  SMIMEA 3 0 0 010203
ptr     PTR   Example.NET.
eui     EUI48 00-00-5e-00-53-2a
several A     203.119.3.2
several TXT   "one" "two"
several MX    5 MX.Example.Net.
several TYPE65280 \# 2 ABCD
\032odd\.name A 203.119.3.3
_under  TXT   "underscore"
l1.l2.l3.l4.l5.l6.l7.l8.l9.l10.l11.l12.l13.l14.l15.l16.l17.l18.l19.l20.l21.l22.l23.l24.l25.l26.l27.l28.l29.l30.l31.l32.l33.l34.l35.l36.l37.l38 A 203.119.3.4
`

func typeQuestions() []string {
	var out []string
	for line := range strings.Lines(strings.TrimSpace(typeRecords)) {
		f := strings.Fields(line)
		out = append(out, f[0]+" "+f[1])
	}
	return append(out, "l5.l6.l7.l8.l9.l10 A", "x.l2.l3.l4.l5.l6.l7.l8.l9.l10.l11.l12.l13.l14.l15.l16.l17.l18.l19.l20.l21.l22.l23.l24.l25.l26.l27.l28.l29.l30.l31.l32.l33.l34.l35.l36.l37.l38 A",
		"own A", "@ NSEC", "@ NSEC3PARAM", "@ RRSIG", "several TYPE65280", "several TYPE64000", "www HTTPS", "www SVCB", "@ CAA", "https NSEC")
}

const wildRecords = `
*            A     203.119.4.1
*            MX    10 mail
*.sub        A     203.119.4.2
host.sub     TXT   "stops the wildcard"
*.*.star     A     203.119.4.3
*.mid.low    A     203.119.4.4
deep.low     A     203.119.4.5
x.y.block    TXT   "an empty non-terminal at y.block"
*.cname      CNAME *.sub
*.txt        TXT   "a" "b"
_25._tcp.*.svc SRV 1 1 25 mail
`

var wildQuestions = []string{
	"any A", "any MX", "any TXT", "a.b.c A", "x.sub A", "host.sub A", "host.sub TXT", "x.host.sub A", "y.x.sub A", "sub A", "x.y.star A", "x.star A",
	"*.star A", "x.mid.low A", "mid.low A", "other.low A", "y.block A", "block A", "z.y.block A", "x.cname A", "x.txt TXT", "x.txt A",
	"* A", "* MX", "* TXT", "*.sub A", "any DS", "x.sub DS", "_25._tcp.a.svc SRV", "any NS", "any SOA", "any DNSKEY",
}

// largeRecords are answers that no datagram holds.
func largeRecords() string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "txt TXT \"%d %s\"\n", i, strings.Repeat("x", 100))
	}
	for i := range 200 {
		fmt.Fprintf(&b, "many A 203.119.5.%d\nmx MX %d mail%d\n", i+1, i, i)
	}
	for i := range 220 {
		fmt.Fprintf(&b, "huge TXT \"%d %s\"\n", i, strings.Repeat("y", 200))
	}
	return b.String()
}

package internet

import (
	"github.com/miekg/dns"
)

// denialZones are rightly signed; their servers deny wrongly. Each is there twice for NSEC and NSEC3, and
// once more with a second server that does it right.
func denialZones() []Zone {
	faults := []struct {
		name  string
		fault func(zone string) Fault
		ask   []string
	}{
		{"nodenial", func(string) Fault { return noDenial }, nil},
		{"firstdenial", func(string) Fault { return firstDenial }, nil},
		{"lastdenial", func(string) Fault { return lastDenial }, nil},
		{"otherdenial", func(z string) Fault { return denialOf("missing.www." + z) }, nil},
		{"apexdenial", func(z string) Fault { return denialOf("nothing.in.wild.deep." + z) }, nil},
		{"baddenial", func(string) Fault { return badDenialSig }, nil},
		{"nosoa", func(string) Fault { return noSOA }, nil},
		{"denied", func(z string) Fault { return deny("www."+z, "missing."+z, dns.RcodeNameError) }, nil},
		{"emptied", func(z string) Fault { return deny("www."+z, "mail."+z, dns.RcodeSuccess) }, nil},
		{"nxasnodata", func(z string) Fault { return deny("www."+z, "missing."+z, dns.RcodeSuccess) }, nil},
		{"replayed", func(z string) Fault { return replay("a.b.ent."+z, "x.wild."+z) }, nil},
		{"replaynx", func(z string) Fault { return replay("missing."+z, "x.wild."+z) }, nil},
		{"replaydeep", func(z string) Fault { return replay("*.wild."+z, "x.wild."+z) }, []string{"*.wild TXT"}},
		{"replaystar", func(z string) Fault { return replay("y.wild."+z, "*.wild."+z) }, []string{"y.wild A", "y.wild TXT"}},
		{"labelsup", func(string) Fault { return labels(1) }, nil},
		{"labelsdown", func(string) Fault { return labels(-1) }, nil},
		{"wronganswer", func(string) Fault { return wrongAnswer }, nil},
		{"nosigs", func(string) Fault { return noSigs }, nil},
	}
	var zones []Zone
	for _, f := range faults {
		for _, kind := range []struct {
			suffix string
			sign   Signing
		}{{".net", Signing{}}, {".de", Signing{NSEC3: &NSEC3{Iterations: 1}}}} {
			name := f.name + kind.suffix
			bad := Server{Site: "nsd", Fault: f.fault(name + ".")}
			zones = append(zones, Zone{Name: name, Group: "denial", Sign: &kind.sign, Servers: []Server{bad}, Ask: f.ask})
		}
		name := f.name + "2.net"
		bad := Server{Site: "nsd", Fault: f.fault(name + ".")}
		zones = append(zones, Zone{Name: name, Group: "denial, and a good server", Sign: &Signing{}, Servers: []Server{bad, {Site: "knot"}}, Ask: f.ask})
	}
	return append(zones,
		// The parent's NSEC record at the cut seems to cover all that is below it (RFC 6840 section 4.1).
		Zone{Name: "family.net", Group: "denial", Sign: &Signing{}, Servers: on("nsd")},
		Zone{Name: "m.family.net", Group: "denial", Sign: &Signing{}, Servers: []Server{{Site: "nsd", Fault: deny("www.m.family.net.", "m0.family.net.", dns.RcodeNameError)}}},
		Zone{Name: "n.family.net", Group: "denial", Sign: &Signing{}, Servers: []Server{{Site: "nsd", Fault: deny("www.n.family.net.", "n0.family.net.", dns.RcodeSuccess)}}},
		Zone{Name: "parentdenial.net", Group: "denial", Sign: &Signing{}, Servers: []Server{{Site: "nsd", Fault: parentDenial}}},
	)
}

// parentDenial denies what is below a name with the records about another name that is no ancestor's business:
// www has no address because the apex has no SRV record (RFC 6840 section 4.1 has the like).
var parentDenial = changed(func(x *Exchange, reply *dns.Msg) {
	if x.Name() != "www.parentdenial.net." {
		return
	}
	reply.Answer, reply.Rcode = nil, dns.RcodeSuccess
	q := x.Query.Copy()
	q.Question[0].Name, q.Question[0].Qtype = "parentdenial.net.", dns.TypeSRV
	if lie := x.Ask(q); lie != nil {
		reply.Ns = lie.Ns
	}
})

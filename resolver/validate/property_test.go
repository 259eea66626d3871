package validate

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// altered says whether a judged response that is Secure differs in content from what the zones hold: the
// truth is asked of an untouched world.
func altered(truth *Response, j Judgement) bool {
	if j.Rcode != truth.Rcode && len(truth.Answer) == 0 {
		return true
	}
	want := contents(truth.Answer)
	for _, rr := range contents(j.Answer) {
		if !slices.Contains(want, rr) {
			return true
		}
	}
	return len(contents(j.Answer)) != len(want)
}

// contents are the records of a section without signatures and TTLs, in one spelling.
func contents(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			continue
		}
		rr = dns.Copy(rr)
		if odd, ok := rr.(*dns.RFC3597); ok { // the same content in another form
			wire := make([]byte, 4096)
			if n, err := dns.PackRR(odd, wire, 0, nil, false); err == nil {
				rr, _, _ = dns.UnpackRR(wire[:n], 0)
			}
		}
		rr.Header().Ttl = 0
		rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		switch x := rr.(type) { // canonical form has these in lower case
		case *dns.CNAME:
			x.Target = dns.CanonicalName(x.Target)
		case *dns.DNAME:
			x.Target = dns.CanonicalName(x.Target)
		case *dns.MX:
			x.Mx = dns.CanonicalName(x.Mx)
		case *dns.SOA:
			x.Ns, x.Mbox = dns.CanonicalName(x.Ns), dns.CanonicalName(x.Mbox)
		}
		if s := rr.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// flip changes one bit of a record's wire form behind its owner name; nil when that is no record any more.
func flip(rr dns.RR, chance *rand.Rand) dns.RR {
	buf := make([]byte, 4096)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil
	}
	owner, err := dns.PackDomainName(rr.Header().Name, make([]byte, 256), 0, nil, false)
	if err != nil {
		return nil
	}
	at := owner + 10 // the data; type, class, TTL and length are flipped by others
	if at >= n {
		return nil
	}
	at += chance.IntN(n - at)
	buf[at] ^= 1 << chance.IntN(8)
	out, _, err := dns.UnpackRR(buf[:n], 0)
	if err != nil {
		return nil
	}
	return out
}

// secure are the questions with secure answers, but for those of which a part may be missing, ANY, and
// those about a zone where anybody can play back its NSEC3, whose iterations make anything insecure.
func secure() []question {
	return slices.DeleteFunc(slices.Clone(questions), func(q question) bool {
		return q.status != dnssec.Secure || q.rrtype == dns.TypeANY || strings.HasSuffix(q.name, "costly.org.")
	})
}

// Never Secure for altered data: any bit of any record flipped, any record gone, any two signatures or data
// exchanged, any record of another answer added.
func TestNeverSecureWhenAltered(t *testing.T) {
	w := internet(t)
	w.knows = true
	c := chainOver(w, Config{})
	chance := rand.New(rand.NewPCG(1, 2))
	asked := secure()
	check := func(what string, truth, r *Response) {
		t.Helper()
		j, err := c.Validate(context.Background(), r, w.anchors(), dnssec.NewBudget(dnssec.Limits{}))
		if err == nil && j.Status == dnssec.Secure && j.Open == "" && altered(truth, j) {
			t.Errorf("%s: %s %s is secure:\n%v\n%v\nbut was\n%v\n%v", what, r.Name, dns.Type(r.Type), j.Answer, j.Ns, truth.Answer, truth.Ns)
		}
	}
	for _, q := range asked {
		truth := w.ask(q.name, q.rrtype)
		sections := func(r *Response) []*[]dns.RR { return []*[]dns.RR{&r.Answer, &r.Ns} }
		for s := range 2 {
			for i := range *sections(truth)[s] {
				r := &Response{Name: truth.Name, Type: truth.Type, Rcode: truth.Rcode, Zone: truth.Zone}
				reset := func() []dns.RR {
					r.Answer, r.Ns = slices.Clone(truth.Answer), slices.Clone(truth.Ns)
					return *sections(r)[s]
				}
				for range 8 {
					section := reset()
					if rr := flip(section[i], chance); rr != nil {
						section[i] = rr
						check("flipped", truth, r)
					}
				}
				*sections(r)[s] = slices.Delete(reset(), i, i+1)
				check("dropped", truth, r)
				section := reset()
				k := chance.IntN(len(section))
				section[i], section[k] = renamed(section[k:k+1], section[i].Header().Name)[0], renamed(section[i:i+1], section[k].Header().Name)[0]
				check("names exchanged", truth, r)
				other := w.ask(asked[chance.IntN(len(asked))].name, q.rrtype)
				more := append(slices.Clone(other.Answer), other.Ns...)
				section = reset()
				*sections(r)[s] = append(section, more...)
				check("added", truth, r)
				reset()
				r.Answer, r.Ns, r.Rcode = renamed(other.Answer, r.Name), other.Ns, other.Rcode
				check("another's answer", truth, r)
				r.Rcode = truth.Rcode
			}
		}
	}
}

// FuzzValidate gives hostile responses, alone and mixed with records that are right, for a name with data
// and for one without: only the truth is Secure, and no question costs more than its budget.
func FuzzValidate(f *testing.F) {
	w := internet(f)
	w.knows = true
	chain := chainOver(w, Config{})
	pack := func(r *Response) []byte {
		m := &dns.Msg{Answer: r.Answer, Ns: r.Ns}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		return wire
	}
	asked := secure()
	for i, q := range questions {
		f.Add(pack(w.ask(q.name, q.rrtype)), uint8(i), uint8(q.rcode), uint16(0))
		f.Add(pack(w.ask(q.name, q.rrtype)), uint8(i+1), uint8(q.rcode), uint16(0xffff))
	}
	f.Fuzz(func(t *testing.T, wire []byte, which, rcode uint8, keep uint16) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		q := asked[int(which)%len(asked)]
		truth := w.ask(q.name, q.rrtype)
		r := &Response{Name: truth.Name, Type: truth.Type, Rcode: int(rcode), Zone: truth.Zone, Answer: m.Answer, Ns: m.Ns}
		for i, rr := range truth.Answer {
			if keep>>(i%8)&1 == 1 {
				r.Answer = append(r.Answer, rr)
			}
		}
		for i, rr := range truth.Ns {
			if keep>>(8+i%8)&1 == 1 {
				r.Ns = append(r.Ns, rr)
			}
		}
		b := dnssec.NewBudget(dnssec.Limits{})
		j, err := chain.Validate(context.Background(), r, w.anchors(), b)
		if err != nil {
			return
		}
		if j.Status == dnssec.Secure && j.Open == "" && altered(truth, j) {
			t.Errorf("%s %s is secure:\n%v\n%v\nbut was\n%v\n%v", q.name, dns.Type(q.rrtype), j.Answer, j.Ns, truth.Answer, truth.Ns)
		}
		if j.Status == dnssec.Insecure || j.Status == dnssec.Indeterminate {
			t.Errorf("%s %s is %v", q.name, dns.Type(q.rrtype), j.Verdict)
		}
		if s := b.Spent(); s.Checks > 256 || s.Failures > 16 || s.Hashes > 150 {
			t.Errorf("%+v", s)
		}
	})
}

// Judging with warm keys: what each answer from the network costs.
func BenchmarkValidate(b *testing.B) {
	w := internet(b)
	w.knows = true
	c := chainOver(w, Config{})
	anchors := w.anchors()
	for _, q := range []question{
		{"www.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
		{"nothing.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
		{"nothing.n3.org.", dns.TypeA, dnssec.Secure, 0, 0},
		{"www.plain.org.", dns.TypeA, dnssec.Insecure, 0, 0},
	} {
		b.Run(q.name, func(b *testing.B) {
			r := w.ask(q.name, q.rrtype)
			b.ReportAllocs()
			for b.Loop() {
				j, err := c.Validate(context.Background(), r, anchors, dnssec.NewBudget(dnssec.Limits{}))
				if err != nil || j.Status != q.status {
					b.Fatal(j.Verdict, err)
				}
			}
		})
	}
}

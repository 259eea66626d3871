package internet

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/miekg/dns"
)

// Flags are how a client asks.
type Flags uint8

// The four sets of flags that questions are asked with.
const (
	Plain Flags = iota // no EDNS
	AD                 // EDNS, and AD: tell me whether it is authentic (RFC 6840 section 5.7)
	DO                 // EDNS with DO: and show me (RFC 3225)
	DOCD               // and do not validate for me (RFC 4035 section 3.2.2)
	flagSets
)

func (f Flags) String() string { return [...]string{"plain", "AD", "DO", "DO+CD"}[f] }

// Question is what a client asks.
type Question struct {
	Name  string
	Type  uint16
	Flags Flags
	Zone  *Zone // whose table it is from
}

func (q Question) String() string {
	return fmt.Sprintf("%s %s %s", q.Name, dns.Type(q.Type), q.Flags)
}

// message is the question as a client sends it.
func (q Question) message() *dns.Msg {
	m := new(dns.Msg).SetQuestion(q.Name, q.Type)
	if q.Flags != Plain {
		m.SetEdns0(1232, q.Flags != AD)
	}
	m.AuthenticatedData, m.CheckingDisabled = q.Flags == AD, q.Flags == DOCD
	return m
}

const (
	perZone    = 20 // questions of the template, of a zone
	perSpecial = 2  // sets of flags that each other question is asked with
)

// Questions draws questions from all zones, always the same ones in the same order.
func (n *Internet) Questions() []Question {
	chance := rand.New(rand.NewPCG(20261121, 7))
	var out []Question
	for i := range n.Zones {
		z := &n.Zones[i]
		var common []Question
		special := map[string]bool{}
		for _, text := range z.Ask {
			name, rrtype, _ := strings.Cut(text, " ")
			special[absolute(name, z.fqdn())+" "+rrtype] = true
		}
		for _, text := range z.questions() {
			name, rrtype, _ := strings.Cut(text, " ")
			q := Question{Name: name, Type: typeOf(rrtype), Zone: z}
			first := chance.IntN(int(flagSets))
			for f := range flagSets {
				q.Flags = (f + Flags(first)) % flagSets
				switch {
				case !special[text]:
					common = append(common, q)
				case int(f) < perSpecial:
					out = append(out, q)
				}
			}
		}
		chance.Shuffle(len(common), func(a, b int) { common[a], common[b] = common[b], common[a] })
		out = append(out, common[:min(perZone, len(common))]...)
	}
	chance.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}

// typeOf is a type by its name, TYPE65280 and the like among them.
func typeOf(name string) uint16 {
	if t, ok := dns.StringToType[name]; ok {
		return t
	}
	var t uint16
	if _, err := fmt.Sscanf(name, "TYPE%d", &t); err != nil {
		panic("a table asks for type " + name)
	}
	return t
}

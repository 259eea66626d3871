package internet

import (
	"slices"
	"strings"
)

// unsafe says why a reply harms: AD that neither peer gives, data or denial that both hold back, or what an
// attacker made up. "" is a reply that does not.
func unsafe(q Question, one, two, reply Reply) string {
	withheld := q.Flags != DOCD && one.Rcode == "SERVFAIL" && two.Rcode == "SERVFAIL"
	for _, a := range reply.Answer {
		if q.Flags != DOCD && strings.HasSuffix(a, " a "+forged) && !slices.Contains(one.Answer, a) && !slices.Contains(two.Answer, a) {
			return "data that an attacker made up"
		}
	}
	switch {
	case reply.AD && !one.AD && !two.AD:
		return "AD that neither peer gives"
	case withheld && len(reply.Answer) > 0:
		return "data that both peers hold back"
	case withheld && (reply.Rcode == "NXDOMAIN" || reply.Rcode == "NOERROR"):
		return "denial that both peers hold back"
	}
	return ""
}

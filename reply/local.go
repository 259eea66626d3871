package reply

import (
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/resolver"
)

// chaos answers class CH: who the server is, as far as it is configured to say (RFC 4892).
func (s *Source) chaos(m *dns.Msg, q resolver.Query) cache.Entry {
	var text string
	switch q.Name {
	case "version.bind.", "version.server.":
		text = s.cfg.Version
	case "hostname.bind.", "id.server.":
		text = s.cfg.Hostname
	}
	if text == "" || q.Type != dns.TypeTXT && q.Type != dns.TypeANY {
		return s.status(m, verdict{rcode: dns.RcodeRefused})
	}
	text = strings.ReplaceAll(text[:min(len(text), 255)], `\`, `\\`)
	return s.local(m, &dns.TXT{
		Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS},
		Txt: []string{text},
	})
}

// anyTTL is long, since ANY is asked by what is better off with a cached answer.
const anyTTL = 3600

// hinfo answers ANY with one small record and asks nobody (RFC 8482 section 4.2).
func (s *Source) hinfo(m *dns.Msg, q resolver.Query) cache.Entry {
	return s.local(m, &dns.HINFO{
		Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: min(anyTTL, seconds(s.cfg.MaxTTL))},
		Cpu: "RFC8482",
	})
}

// local packs a record that is made here.
func (s *Source) local(m *dns.Msg, rr dns.RR) cache.Entry {
	m.Answer = []dns.RR{rr}
	packed, err := pack(m)
	if err != nil {
		return s.status(m, diagnose(err))
	}
	return cache.Entry{Wire: packed, TTL: time.Duration(rr.Header().Ttl) * time.Second, Stored: s.cfg.Now(), Zone: "local"}
}

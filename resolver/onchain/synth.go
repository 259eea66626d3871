package onchain

import (
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"dens/names"
)

// Bounds of what becomes text.
const (
	maxContentHash = 4 << 10
	maxAddresses   = 64
	maxString      = 255 // octets of a character-string
)

// synthesise makes records of what the name holds in a form other than DNS records. stored is what the
// chain holds of the type in question. own says that the records are dens's own: the chain does not have
// what they say, in whatever form.
func (z *zone) synthesise(q question, rec *names.Records, stored []dns.RR) (made []dns.RR, own bool, err error) {
	if len(rec.ContentHash) > maxContentHash || len(rec.ContentPath) > 2*maxContentHash {
		return nil, false, malformed("content hash of %d bytes", len(rec.ContentHash))
	}
	switch {
	case q.rrtype == dns.TypeTXT && q.dnsLink():
		if len(stored) == 0 {
			return z.texts(q, linkTexts(rec)), false, nil
		}
	case q.rrtype == dns.TypeTXT:
		made := z.texts(q, nameTexts(rec))
		return slices.DeleteFunc(made, func(rr dns.RR) bool { // an RRset has no duplicates (RFC 2181 section 5)
			return slices.ContainsFunc(stored, func(old dns.RR) bool { return dns.IsDuplicate(old, rr) })
		}), false, nil
	case len(stored) > 0:
		return nil, false, nil
	case q.rrtype == typeWALLET:
		made, err = z.wallets(q, rec.Addresses)
		return made, false, err
	case q.rrtype == dns.TypeSOA && q.inner == rec.Apex:
		soa := z.soa(q, rec.Apex, rec.Source.Head.Number)
		soa.Hdr.Ttl = seconds(z.cfg.TTL)
		return []dns.RR{soa}, true, nil
	case q.rrtype == dns.TypeNS && q.inner == rec.Apex:
		return z.nameServers(q), true, nil
	case len(rec.ContentHash) > 0 && !q.dnsLink():
		return z.gateways(q), true, nil
	}
	return nil, false, nil
}

// gateways are the addresses at which the content of a content hash is served over HTTP.
func (z *zone) gateways(q question) []dns.RR {
	var rrs []dns.RR
	v4, v6 := addresses(z.cfg.GatewayA, true), addresses(z.cfg.GatewayAAAA, false)
	switch q.rrtype {
	case dns.TypeA:
		for _, ip := range v4 {
			rrs = append(rrs, &dns.A{Hdr: z.header(q, dns.TypeA), A: ip})
		}
	case dns.TypeAAAA:
		for _, ip := range v6 {
			rrs = append(rrs, &dns.AAAA{Hdr: z.header(q, dns.TypeAAAA), AAAA: ip})
		}
	case dns.TypeHTTPS:
		if len(v4)+len(v6) == 0 {
			return nil
		}
		// RFC 9460 section 2.4.3: the service is at the name itself, with hints to save a round trip.
		svcb := dns.SVCB{Hdr: z.header(q, dns.TypeHTTPS), Priority: 1, Target: "."}
		svcb.Value = append(svcb.Value, &dns.SVCBAlpn{Alpn: []string{"h2", "http/1.1"}})
		if len(v4) > 0 {
			svcb.Value = append(svcb.Value, &dns.SVCBIPv4Hint{Hint: v4})
		}
		if len(v6) > 0 {
			svcb.Value = append(svcb.Value, &dns.SVCBIPv6Hint{Hint: v6})
		}
		rrs = append(rrs, &dns.HTTPS{SVCB: svcb})
	}
	return rrs
}

func addresses(list []netip.Addr, v4 bool) []net.IP {
	var ips []net.IP
	for _, a := range list {
		if a = a.Unmap(); a.IsValid() && a.Is4() == v4 {
			ips = append(ips, net.IP(a.AsSlice()))
		}
	}
	return ips
}

// nameTexts are the texts at a name, in the order in which coredns-ens gives them.
func nameTexts(rec *names.Records) []string {
	var texts []string
	for _, a := range rec.Addresses {
		if a.Currency == "ETH" && len(a.Text) <= maxString {
			texts = append(texts, "a="+a.Text)
			break
		}
	}
	if len(rec.ContentHash) > 0 {
		texts = append(texts, "contenthash=0x"+hex.EncodeToString(rec.ContentHash))
	}
	return append(texts, linkTexts(rec)...)
}

// linkTexts is the DNSLink of a content hash that has a path, such as /ipfs/bafy...
func linkTexts(rec *names.Records) []string {
	if rec.ContentPath == "" {
		return nil
	}
	return []string{"dnslink=" + rec.ContentPath}
}

func (z *zone) texts(q question, texts []string) []dns.RR {
	var rrs []dns.RR
	for _, text := range texts {
		rrs = append(rrs, &dns.TXT{Hdr: z.header(q, dns.TypeTXT), Txt: characterStrings(text)})
	}
	return rrs
}

// wallets is one WALLET record for each address: two character-strings, currency and address. What does
// not fit into them is left out.
func (z *zone) wallets(q question, list []names.Address) ([]dns.RR, error) {
	set := newRecordSet(q.asked, typeWALLET)
	for _, a := range list[:min(len(list), maxAddresses)] {
		if len(a.Currency) > maxString || len(a.Text) > maxString || a.Currency == "" || a.Text == "" {
			continue
		}
		rr, err := walletRecord([]string{escape(a.Currency), escape(a.Text)})
		if err != nil {
			return nil, malformed("address record: %v", err)
		}
		rr.Header().Ttl = seconds(z.cfg.TTL)
		if err := set.add(rr); err != nil {
			return nil, err
		}
	}
	return set.finish(z.cfg.TTL)
}

// soa is the SOA record of a zone (RFC 1035 section 3.3.13). The block is its serial: it grows with each
// change, as that of a zone does, and wraps like any serial (RFC 1982). The TTL is that of negative
// answers (RFC 2308 section 3).
func (z *zone) soa(q question, apex string, block uint64) *dns.SOA {
	ttl := seconds(z.cfg.NegativeTTL)
	return &dns.SOA{
		Hdr:     dns.RR_Header{Name: q.outer(apex), Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:      z.cfg.NS[0],
		Mbox:    z.cfg.Mailbox,
		Serial:  uint32(block),
		Refresh: 3600,
		Retry:   600,
		Expire:  604800,
		Minttl:  ttl,
	}
}

func (z *zone) nameServers(q question) []dns.RR {
	var rrs []dns.RR
	for _, ns := range z.cfg.NS {
		rrs = append(rrs, &dns.NS{Hdr: z.header(q, dns.TypeNS), Ns: ns})
	}
	return rrs
}

func (z *zone) header(q question, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: q.asked, Rrtype: rrtype, Class: dns.ClassINET, Ttl: seconds(z.cfg.TTL)}
}

// redirect makes the answer to a question below a DNAME: the DNAME itself and the CNAME that it means
// (RFC 6672 section 3.1). ok is false when the new name is too long.
func redirect(q question, dname *dns.DNAME) (cname *dns.CNAME, ok bool) {
	target := dns.CanonicalName(dname.Target)
	owner := dname.Hdr.Name
	name := strings.TrimSuffix(q.asked, owner)
	if target != "." {
		name += target
	}
	if !fits(name) {
		return nil, false
	}
	return &dns.CNAME{
		Hdr:    dns.RR_Header{Name: q.asked, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl},
		Target: name,
	}, true
}

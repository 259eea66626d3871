package onchain

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/names"
)

// Bounds of one dns.<TYPE> text record.
const (
	maxTextJSON  = 16 << 10
	maxTextItems = 64
)

// typeWALLET is RR type 262: character-strings like TXT, here currency and address.
const typeWALLET = 262

// parseText reads a dns.<TYPE> text record: a JSON array of record data in presentation form. One item
// that cannot be read makes the whole malformed, as with parseRRset.
func parseText(t names.Text, owner string, ttl, maxAge time.Duration) ([]dns.RR, error) {
	if len(t.JSON) > maxTextJSON {
		return nil, malformed("dns.%s of %d bytes", typeName(t.Type), len(t.JSON))
	}
	if strings.TrimSpace(t.JSON) == "" {
		return nil, nil
	}
	var items []string
	if err := json.Unmarshal([]byte(t.JSON), &items); err != nil {
		return nil, malformed("dns.%s is no JSON array of strings", typeName(t.Type))
	}
	if len(items) > maxTextItems {
		return nil, malformed("dns.%s has %d items", typeName(t.Type), len(items))
	}
	set := newRecordSet(owner, t.Type)
	age := textTTL(t.TTL, ttl)
	for i, item := range items {
		rr, err := parseItem(t.Type, item)
		if err != nil {
			return nil, malformed("dns.%s item %d: %v", typeName(t.Type), i, err)
		}
		*rr.Header() = dns.RR_Header{Rrtype: t.Type, Class: dns.ClassINET, Ttl: age}
		if err := set.add(rr); err != nil {
			return nil, err
		}
	}
	return set.finish(maxAge)
}

// textTTL reads a stored TTL. One that is no number counts as none: it says nothing about the data.
func textTTL(stored string, ttl time.Duration) uint32 {
	n, err := strconv.ParseUint(strings.TrimSpace(stored), 10, 64)
	switch {
	case err != nil:
		return seconds(ttl)
	case n > maxTTL:
		return 0 // RFC 2181 section 8
	}
	return uint32(n)
}

// parseItem reads the presentation form of one record's data. The item has no say in owner, class, type
// or TTL: it is one line, it starts behind the type, and nothing may be left over.
func parseItem(rrtype uint16, item string) (dns.RR, error) {
	if strings.TrimSpace(item) == "" {
		return nil, errItem("empty")
	}
	if strings.ContainsFunc(item, isControl) {
		return nil, errItem("control character")
	}
	parseAs := rrtype
	switch {
	case rrtype == dns.TypeTXT && !strings.ContainsAny(item, `"\`):
		// People write v=spf1 ...; without quotes, where the zone file syntax would see several strings
		// and a comment. Without quote and escape it is taken as it is.
		return &dns.TXT{Txt: characterStrings(item)}, nil
	case rrtype == typeWALLET && !strings.HasPrefix(item, `\#`):
		parseAs = dns.TypeTXT // the library has no name for it
	}
	zp := dns.NewZoneParser(strings.NewReader(". 0 IN "+typeName(parseAs)+" "+item+"\n"), ".", "")
	rr, ok := zp.Next()
	switch {
	case zp.Err() != nil:
		return nil, errItem("cannot be read")
	case !ok:
		return nil, errItem("empty")
	case zp.Comment() != "":
		return nil, errItem("comment")
	case rr.Header().Rrtype != parseAs:
		return nil, errItem("of another type")
	}
	if _, more := zp.Next(); more || zp.Err() != nil {
		return nil, errItem("more than one record")
	}
	if txt, ok := rr.(*dns.TXT); ok && rrtype == typeWALLET {
		return walletRecord(txt.Txt)
	}
	return rr, nil
}

type errItem string

func (e errItem) Error() string { return string(e) }

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// typeName is the mnemonic of a type, or TYPE123 (RFC 3597 section 5).
func typeName(rrtype uint16) string {
	if rrtype == typeWALLET {
		return "WALLET"
	}
	return dns.Type(rrtype).String()
}

// walletRecord makes a WALLET record of character-strings in presentation form.
func walletRecord(text []string) (dns.RR, error) {
	const header = 11 // root owner, type, class, TTL, length
	txt := &dns.TXT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: text}
	buf := make([]byte, dns.Len(txt)+1)
	end, err := dns.PackRR(txt, buf, 0, nil, false)
	if err != nil {
		return nil, errItem("cannot be packed")
	}
	return &dns.RFC3597{
		Hdr:   dns.RR_Header{Rrtype: typeWALLET, Class: dns.ClassINET},
		Rdata: hex.EncodeToString(buf[header:end]),
	}, nil
}

// characterStrings cuts text into the character-strings of a TXT record, 255 octets at most each (RFC
// 1035 section 3.3), in the library's form, where a backslash escapes.
func characterStrings(text string) []string {
	parts := []string{}
	for len(text) > 255 {
		parts = append(parts, escape(text[:255]))
		text = text[255:]
	}
	return append(parts, escape(text))
}

func escape(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

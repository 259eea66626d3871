package reply

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// typeWALLET is RR type 262: character-strings, like TXT.
const typeWALLET = 262

// RecordData returns a record's data in presentation form: that of WALLET like TXT's, that of types unknown
// as RFC 3597 section 5 has it.
func RecordData(rr dns.RR) string {
	unknown, ok := rr.(*dns.RFC3597)
	if !ok {
		return strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	if unknown.Hdr.Rrtype == typeWALLET {
		if text, ok := walletData(unknown.Rdata); ok {
			return text
		}
	}
	return fmt.Sprintf(`\# %d %s`, len(unknown.Rdata)/2, unknown.Rdata)
}

// TypeName returns the mnemonic of a type, or TYPE123 (RFC 3597 section 5).
func TypeName(rrtype uint16) string {
	if rrtype == typeWALLET {
		return "WALLET"
	}
	return dns.Type(rrtype).String()
}

// walletData is the data of a WALLET record in the form of a TXT record's.
func walletData(rdata string) (string, bool) {
	raw, err := hex.DecodeString(rdata)
	if err != nil || len(raw) == 0 {
		return "", false
	}
	h := dns.RR_Header{Name: ".", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Rdlength: uint16(len(raw))}
	txt, _, err := dns.UnpackRRWithHeader(h, raw, 0)
	if err != nil {
		return "", false
	}
	return strings.TrimPrefix(txt.String(), txt.Header().String()), true
}

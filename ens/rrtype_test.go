package ens

import (
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestTypeName holds the mnemonics against the DNS library's: what has a name there and can be data has
// the same one here, and all else is written as RFC 3597 says.
func TestTypeName(t *testing.T) {
	obsolete := map[uint16]bool{3: true, 4: true, 7: true, 8: true, 9: true, 10: true, 14: true, 19: true, 20: true, 21: true,
		22: true, 23: true, 24: true, 25: true, 26: true, 27: true, 30: true, 31: true, 32: true, 34: true, 38: true, 40: true,
		56: true, 57: true, 58: true, 100: true, 101: true, 102: true, 103: true, 104: true, 105: true, 106: true, 107: true,
		128: true, 258: true, 259: true, 260: true, 261: true, 263: true, 264: true, 265: true}
	for n := range 1 << 16 {
		rrtype := uint16(n)
		got, want := typeName(rrtype), dns.TypeToString[rrtype]
		meta := n == 0 || n == 41 || n > 128 && n < 256 || n >= 32768
		switch {
		case rrtype == typeWallet:
			want = "WALLET"
		case want == "", obsolete[rrtype], meta, isSynthetic(rrtype):
			want = "TYPE" + strconv.Itoa(n)
		}
		if got != want {
			t.Errorf("type %d is %s, want %s", n, got, want)
		}
	}
	if got := textKeys(dns.TypeAAAA); strings.Join(got, " ") != "dns.ttl dns.AAAA dns.AAAA.ttl dns.CNAME dns.CNAME.ttl" {
		t.Errorf("keys are %q", got)
	}
}

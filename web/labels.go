package web

import (
	"slices"
	"strconv"
)

// A label has a small set of values, the last of which stands for all others: what clients send must
// not make series without end.
const other = "other"

// labels is one such set. Its functions return an index into the values.
type labels []string

func newLabels(values ...string) labels { return append(slices.Clip(values), other) }

// index finds a value; one that is not known is the last.
func (l labels) index(value string) int {
	for i, v := range l {
		if v == value {
			return i
		}
	}
	return len(l) - 1
}

// codes are labels for numbers, such as record types.
type codes struct {
	names labels
	byNum []uint8 // index of the name, by number
}

// newCodes takes names by number. Numbers stay below 512.
func newCodes(names map[uint16]string) codes {
	var c codes
	nums := make([]uint16, 0, len(names))
	for n := range names {
		nums = append(nums, n)
	}
	slices.Sort(nums)
	c.byNum = make([]uint8, int(nums[len(nums)-1])+1)
	for i := range c.byNum {
		c.byNum[i] = uint8(len(nums)) // other
	}
	for i, n := range nums {
		c.names = append(c.names, names[n])
		c.byNum[n] = uint8(i)
	}
	c.names = append(c.names, other)
	return c
}

func (c *codes) index(n uint16) int {
	if int(n) < len(c.byNum) {
		return int(c.byNum[n])
	}
	return len(c.names) - 1
}

// typeCodes are the record types with a series of their own (IANA, DNS parameters).
func typeCodes() codes {
	return newCodes(map[uint16]string{
		0: "none", 1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 29: "LOC",
		33: "SRV", 35: "NAPTR", 39: "DNAME", 43: "DS", 44: "SSHFP", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 52: "TLSA",
		59: "CDS", 60: "CDNSKEY", 64: "SVCB", 65: "HTTPS", 99: "SPF", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI",
		257: "CAA", 262: "WALLET",
	})
}

// rcodeCodes are the rcodes that dens can answer with.
func rcodeCodes() codes {
	return newCodes(map[uint16]string{
		0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 9: "NOTAUTH",
		16: "BADVERS", 23: "BADCOOKIE",
	})
}

// unique makes a label value unlike those that were seen, since two equal series spoil a whole scrape.
func unique(seen map[string]int, group, name string) string {
	key := group + "\x00" + name
	seen[key]++
	if n := seen[key]; n > 1 {
		return unique(seen, group, name+" #"+strconv.Itoa(n))
	}
	return name
}

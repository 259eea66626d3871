package ens

import "strconv"

// Types of DNS records that the package itself has to know.
const (
	typeA      = 1
	typeNS     = 2
	typeCNAME  = 5
	typeSOA    = 6
	typeTXT    = 16
	typeAAAA   = 28
	typeDNAME  = 39
	typeDS     = 43
	typeRRSIG  = 46
	typeNSEC   = 47
	typeDNSKEY = 48
	typeNSEC3  = 50
	typeNSEC3P = 51
	typeHTTPS  = 65
	typeWallet = 262
)

// mnemonics are those of the IANA registry, for the types that people keep; it is never changed.
var mnemonics = map[uint16]string{
	typeA: "A", typeNS: "NS", typeCNAME: "CNAME", 12: "PTR", 13: "HINFO", 15: "MX", typeTXT: "TXT", 17: "RP",
	18: "AFSDB", typeAAAA: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", typeDNAME: "DNAME",
	42: "APL", typeDS: "DS", 44: "SSHFP", 45: "IPSECKEY", 49: "DHCID", 52: "TLSA", 53: "SMIMEA", 55: "HIP",
	59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", typeHTTPS: "HTTPS",
	99: "SPF", 108: "EUI48", 109: "EUI64", 256: "URI", 257: "CAA", typeWallet: "WALLET",
}

// typeName returns the mnemonic that a dns.<TYPE> key has, or RFC 3597's.
func typeName(t uint16) string {
	if name, ok := mnemonics[t]; ok {
		return name
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// isSynthetic says whether the zone makes the type itself, so that no text record is asked for it.
func isSynthetic(t uint16) bool {
	switch t {
	case typeSOA, typeRRSIG, typeNSEC, typeDNSKEY, typeNSEC3, typeNSEC3P:
		return true
	}
	return false
}

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

// typeName returns the mnemonic that a dns.<TYPE> key has: that of the IANA registry, or RFC 3597's.
func typeName(t uint16) string {
	switch t {
	case typeA:
		return "A"
	case typeNS:
		return "NS"
	case typeCNAME:
		return "CNAME"
	case 12:
		return "PTR"
	case 13:
		return "HINFO"
	case 15:
		return "MX"
	case typeTXT:
		return "TXT"
	case 17:
		return "RP"
	case 18:
		return "AFSDB"
	case typeAAAA:
		return "AAAA"
	case 29:
		return "LOC"
	case 33:
		return "SRV"
	case 35:
		return "NAPTR"
	case 36:
		return "KX"
	case 37:
		return "CERT"
	case typeDNAME:
		return "DNAME"
	case 42:
		return "APL"
	case typeDS:
		return "DS"
	case 44:
		return "SSHFP"
	case 45:
		return "IPSECKEY"
	case 49:
		return "DHCID"
	case 52:
		return "TLSA"
	case 53:
		return "SMIMEA"
	case 55:
		return "HIP"
	case 59:
		return "CDS"
	case 60:
		return "CDNSKEY"
	case 61:
		return "OPENPGPKEY"
	case 62:
		return "CSYNC"
	case 63:
		return "ZONEMD"
	case 64:
		return "SVCB"
	case typeHTTPS:
		return "HTTPS"
	case 99:
		return "SPF"
	case 108:
		return "EUI48"
	case 109:
		return "EUI64"
	case 256:
		return "URI"
	case 257:
		return "CAA"
	case typeWallet:
		return "WALLET"
	default:
		return "TYPE" + strconv.Itoa(int(t))
	}
}

// isSynthetic says whether the zone makes the type itself, so that no text record is asked for it.
func isSynthetic(t uint16) bool {
	switch t {
	case typeSOA, typeRRSIG, typeNSEC, typeDNSKEY, typeNSEC3, typeNSEC3P:
		return true
	}
	return false
}

package reply

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

var errBadName = errors.New("not a domain name")

// maxNameText bounds what is read as a name: the longest name, each octet of it escaped or in UTF-8.
const maxNameText = 1024

// maxNameLen is the length of the longest name in octets on the wire (RFC 1035 section 3.1).
const maxNameLen = 255

// AsciiName returns a name as a person writes it in presentation form, with the final dot. Labels in
// Unicode become A-labels; those in ASCII stay as they are, their case included. Its errors do not repeat s.
func AsciiName(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty")
	}
	if len(s) > maxNameText {
		return "", errBadName
	}
	if !isASCII(s) {
		if !utf8.ValidString(s) {
			return "", errBadName
		}
		var err error
		if s, err = toASCII(s); err != nil || strings.Contains(s, `\`) {
			return "", errBadName // an escape has no place in a Unicode name, not even one that mapping made
		}
	}
	name := dns.Fqdn(s)
	var buf [maxNameLen]byte // the library by itself packs names of 256 and 257 octets, too
	if n, err := dns.PackDomainName(name, buf[:], 0, nil, false); err != nil || n > maxNameLen {
		return "", errBadName
	}
	return name, nil
}

// toASCII turns labels into A-labels by UTS 46, which folds case and drops variation selectors. Names on
// chains use emoji and joiners that IDNA 2008 has no place for, and "_" as DNS has it, so that none of
// these is checked; whether a name is normal is for its name system to say. Where UTS 46 refuses a label
// outright, it is encoded as it stands.
func toASCII(s string) (string, error) {
	profile := idna.New(
		idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
		idna.ValidateLabels(false), idna.CheckHyphens(false), idna.CheckJoiners(false),
	)
	if name, err := profile.ToASCII(s); err == nil {
		return name, nil
	}
	return idna.Punycode.ToASCII(s)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// ParseType reads a type's mnemonic in upper or lower case, TYPE123 (RFC 3597 section 5) or a number.
// WALLET is one of the mnemonics. Its errors do not repeat s.
func ParseType(s string) (uint16, error) {
	if s = strings.ToUpper(s); s == "WALLET" {
		return typeWALLET, nil
	}
	if rrtype, ok := dns.StringToType[s]; ok {
		return rrtype, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "TYPE"), 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("neither a mnemonic nor a number from 1 to 65535")
	}
	return uint16(n), nil
}

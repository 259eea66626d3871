package reply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"dens/internal/wire"
)

// JSON turns application/dns-json requests and replies into DNS messages and back, in the form that the
// large public resolvers share. It has no state.
type JSON struct{}

// Request makes the DNS query of a request's query string: name (Unicode or A-labels), type (a mnemonic
// or a number; default A), do and cd (1, true, 0 or false). What it does not know it leaves alone. Its
// errors are for the client.
func (JSON) Request(query url.Values) ([]byte, error) {
	name, err := toName(query.Get("name"))
	if err != nil {
		return nil, err
	}
	rrtype, err := toType(query.Get("type"))
	if err != nil {
		return nil, err
	}
	do, err := toBool(query, "do")
	if err != nil {
		return nil, err
	}
	cd, err := toBool(query, "cd")
	if err != nil {
		return nil, err
	}
	m := &dns.Msg{Question: []dns.Question{{Name: name, Qtype: rrtype, Qclass: dns.ClassINET}}}
	m.RecursionDesired, m.CheckingDisabled = true, cd
	m.AuthenticatedData = true // the JSON shows AD to everyone (RFC 6840 section 5.7 asks for it so)
	m.SetEdns0(wire.UDPSize, do)
	packed, err := m.Pack()
	if err != nil {
		return nil, errBadName
	}
	return packed, nil
}

var errBadName = errors.New("name: not a domain name")

// maxNameParam bounds the name parameter: the longest name, each octet of it escaped or in UTF-8.
const maxNameParam = 1024

// maxNameLen is the length of the longest name in octets on the wire (RFC 1035 section 3.1).
const maxNameLen = 255

// toName returns a domain name in presentation form.
func toName(s string) (string, error) {
	if s == "" {
		return "", errors.New("name: missing")
	}
	if len(s) > maxNameParam {
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

// toType reads a type's mnemonic, TYPE123 (RFC 3597 section 5) or number.
func toType(s string) (uint16, error) {
	switch s = strings.ToUpper(s); s {
	case "":
		return dns.TypeA, nil
	case "WALLET":
		return typeWALLET, nil
	}
	if rrtype, ok := dns.StringToType[s]; ok {
		return rrtype, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "TYPE"), 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("type: neither a mnemonic nor a number from 1 to 65535")
	}
	return uint16(n), nil
}

func toBool(query url.Values, key string) (bool, error) {
	switch strings.ToLower(query.Get(key)) {
	case "1", "true":
		return true, nil
	case "", "0", "false":
		return false, nil
	}
	return false, fmt.Errorf("%s: neither 1, true, 0 nor false", key)
}

type jsonReply struct {
	Status     int
	TC         bool
	RD         bool
	RA         bool
	AD         bool
	CD         bool
	Question   []jsonQuestion
	Answer     []jsonRecord `json:",omitempty"`
	Authority  []jsonRecord `json:",omitempty"`
	Additional []jsonRecord `json:",omitempty"`
	Errors     []jsonError  `json:"extended_dns_errors,omitempty"`
}

type jsonQuestion struct {
	Name string `json:"name"`
	Type uint16 `json:"type"`
}

type jsonRecord struct {
	Name string `json:"name"`
	Type uint16 `json:"type"`
	TTL  uint32 `json:"TTL"`
	Data string `json:"data"`
}

type jsonError struct {
	Code uint16 `json:"info_code"`
	Text string `json:"extra_text,omitempty"`
}

// Reply writes a DNS reply as JSON. An error means that the reply does not parse.
func (JSON) Reply(reply []byte) ([]byte, error) {
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		return nil, fmt.Errorf("reply does not parse: %w", err)
	}
	j := jsonReply{
		Status: m.Rcode, TC: m.Truncated, RD: m.RecursionDesired, RA: m.RecursionAvailable,
		AD: m.AuthenticatedData, CD: m.CheckingDisabled, Question: []jsonQuestion{},
		Answer: toRecords(m.Answer), Authority: toRecords(m.Ns), Additional: toRecords(m.Extra),
	}
	for _, q := range m.Question {
		j.Question = append(j.Question, jsonQuestion{q.Name, q.Qtype})
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				j.Errors = append(j.Errors, jsonError{ede.InfoCode, ede.ExtraText})
			}
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(j); err != nil {
		return nil, fmt.Errorf("reply has no JSON: %w", err)
	}
	return out.Bytes(), nil
}

func toRecords(rrs []dns.RR) []jsonRecord {
	var list []jsonRecord
	for _, rr := range rrs {
		if h := rr.Header(); h.Rrtype != dns.TypeOPT {
			list = append(list, jsonRecord{h.Name, h.Rrtype, h.Ttl, data(rr)})
		}
	}
	return list
}

package reply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

// JSON turns application/dns-json requests and replies into DNS messages and back, in the form that the
// large public resolvers share. It has no state.
type JSON struct{}

// Request makes the DNS query of a request's query string: name (Unicode or A-labels), type (a mnemonic
// or a number; default A), do and cd (1, true, 0 or false). What it does not know it leaves alone. Its
// errors are for the client.
func (JSON) Request(query url.Values) ([]byte, error) {
	name, err := AsciiName(query.Get("name"))
	if err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	rrtype, err := typeParam(query)
	if err != nil {
		return nil, fmt.Errorf("type: %w", err)
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
		return nil, fmt.Errorf("name: %w", errBadName)
	}
	return packed, nil
}

func typeParam(query url.Values) (uint16, error) {
	if s := query.Get("type"); s != "" {
		return ParseType(s)
	}
	return dns.TypeA, nil
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
			list = append(list, jsonRecord{h.Name, h.Rrtype, h.Ttl, RecordData(rr)})
		}
	}
	return list
}

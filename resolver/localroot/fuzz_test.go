package localroot

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzTransfer: messages of a hostile server, each with its length. What comes out begins with the SOA, has
// no other, and counts as a whole only when the SOA came again.
func FuzzTransfer(f *testing.F) {
	r := newRoot(f)
	zone := r.zone(1)
	var whole []byte
	for _, part := range [][]dns.RR{zone[:9], zone[9:], {zone[0]}} {
		m := &dns.Msg{Answer: part}
		m.Response = true
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		whole = append(binary.BigEndian.AppendUint16(whole, uint16(len(wire))), wire...)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		var tr transfer
		in := bytes.NewReader(stream)
		for !tr.done {
			msg, err := readMessage(in)
			if err != nil {
				break
			}
			if err := tr.add(msg); err != nil {
				break
			}
		}
		if tr.bytes > maxBytes+2*dns.MaxMsgSize || len(tr.rrs) > maxRecords {
			t.Fatalf("%d records, %d bytes", len(tr.rrs), tr.bytes)
		}
		if tr.done && len(tr.rrs) == 0 {
			t.Fatal("whole, and nothing in it")
		}
		for i, rr := range tr.rrs {
			if isSOA := rr.Header().Rrtype == dns.TypeSOA && rr.Header().Name == apex; isSOA != (i == 0) && rr == dns.RR(tr.soa) {
				t.Fatalf("record %d is %v", i, rr)
			}
		}
		checkContent(t, tr.rrs)
	})
}

// FuzzZone: text that a file may hold. The digest does not depend on order or repetition, and depends on
// every record; looking things up in whatever it is does no harm.
func FuzzZone(f *testing.F) {
	r := newRoot(f)
	f.Add(textOf(r.zone(1)))
	f.Add(". 5 IN SOA a. b. 1 2 3 4 5\nx. 5 IN NS x.\n*.x. 5 IN TXT a\n. 5 IN ZONEMD 1 1 1 00\n")
	f.Add(". 5 IN SOA A. B. 1 2 3 4 5\n\\000.x. 5 IN NSEC \\001. A\nX. 5 IN DNAME y.\nx. 5 IN TYPE65280 \\# 1 00")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "$GENERATE") {
			return // a short way to a long zone: bounded, but slow
		}
		rrs, err := parseZone(strings.NewReader(text))
		if err != nil {
			return
		}
		checkContent(t, rrs)
	})
}

func checkContent(t *testing.T, rrs []dns.RR) {
	c, err := newContent(apex, rrs)
	if err != nil {
		return
	}
	hash, _ := hashOf(dns.ZoneMDHashAlgSHA384)
	want := c.sum(hash)
	other := slices.Concat(rrs, rrs)
	slices.Reverse(other)
	again, err := newContent(apex, other)
	if err != nil || !bytes.Equal(again.sum(hash), want) {
		t.Fatalf("another digest in another order: %v", err)
	}
	for i, rec := range c.records {
		if c.isDigest(rec.rr) {
			continue
		}
		less := &content{apex: c.apex, records: slices.Delete(slices.Clone(c.records), i, i+1)}
		if bytes.Equal(less.sum(hash), want) {
			t.Fatalf("%v does not count", rec.rr)
		}
		if i == 20 {
			break
		}
	}
	names := []string{".", "a.", "*.", "x.y.", `\000.`}
	for _, rec := range c.records[:min(len(c.records), 50)] {
		name, _, err := dns.UnpackDomainName(rec.wire, 0)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		if len(name) < 200 {
			names = append(names, "a."+strings.TrimPrefix(name, "."))
		}
	}
	c.index()
	for _, name := range names {
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeDS, dns.TypeNS} {
			m := new(dns.Msg)
			if c.answer(m, name, rrtype) && len(m.Answer)+len(m.Ns) == 0 {
				t.Fatalf("%s: an answer without anything", name)
			}
		}
	}
}

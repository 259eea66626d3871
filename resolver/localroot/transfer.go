package localroot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// transfer collects a zone from the messages of an AXFR (RFC 5936 section 2.2): it begins and ends with the
// zone's SOA.
type transfer struct {
	id    uint16
	rrs   []dns.RR
	soa   *dns.SOA
	bytes int // of messages, and of records when they are unpacked
	done  bool
}

// add takes in the next message.
func (t *transfer) add(msg []byte) error {
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		return fmt.Errorf("malformed message: %w", err)
	}
	if err := checkReply(&m, t.id, dns.TypeAXFR); err != nil {
		return err
	}
	t.bytes += len(msg)
	for _, rr := range m.Answer {
		if t.done {
			return errors.New("there are records after the end of the zone")
		}
		t.bytes += dns.Len(rr)
		if len(t.rrs) >= maxRecords || t.bytes > maxBytes {
			return errTooLarge(maxRecords, maxBytes)
		}
		soa, isSOA := rr.(*dns.SOA)
		isSOA = isSOA && soa.Hdr.Name == apex
		switch {
		case t.soa == nil && !isSOA:
			return errors.New("the transfer does not begin with the SOA of the zone")
		case t.soa == nil:
			t.soa = soa
		case isSOA && soa.Serial != t.soa.Serial:
			return fmt.Errorf("the zone changed while it was transferred: serial %d became %d", t.soa.Serial, soa.Serial)
		case isSOA:
			t.done = true
			continue
		}
		t.rrs = append(t.rrs, rr)
	}
	if t.bytes > maxBytes {
		return errTooLarge(maxRecords, maxBytes)
	}
	return nil
}

func errTooLarge(maxRecords, maxBytes int) error {
	return fmt.Errorf("the zone is larger than %d records or %d bytes", maxRecords, maxBytes)
}

// checkReply says whether a message answers the question that was sent. Later messages of a transfer may
// leave the question out (RFC 5936 section 2.2.1).
func checkReply(m *dns.Msg, id, rrtype uint16) error {
	switch {
	case m.Id != id || !m.Response || m.Opcode != dns.OpcodeQuery:
		return errors.New("this is no answer to the question")
	case m.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("the server answers %s", dns.RcodeToString[m.Rcode])
	case len(m.Question) > 1 || len(m.Question) == 1 && (m.Question[0].Name != apex || m.Question[0].Qtype != rrtype):
		return errors.New("this answers another question")
	}
	return nil
}

// fetch asks a server for the zone. It returns nothing when the serial is the one that is had.
func (z *Zone) fetch(ctx context.Context, server netip.AddrPort, have *copied) ([]dns.RR, error) {
	ctx, cancel := context.WithTimeout(ctx, z.cfg.Timeout)
	defer cancel()
	conn, err := z.cfg.Dial(ctx, "tcp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	serial, err := askSerial(conn)
	if err != nil {
		return nil, fmt.Errorf("SOA query: %w", err)
	}
	if have != nil && serial == have.soa.Serial {
		return nil, nil
	}
	if have != nil && newer(have.soa.Serial, serial) {
		return nil, fmt.Errorf("the server has serial %d, older than %d", serial, have.soa.Serial)
	}
	rrs, err := receive(conn)
	if err != nil {
		return nil, fmt.Errorf("zone transfer: %w", err)
	}
	return rrs, nil
}

// askSerial asks for the zone's SOA.
func askSerial(conn net.Conn) (uint32, error) {
	id, err := send(conn, dns.TypeSOA)
	if err != nil {
		return 0, err
	}
	msg, err := readMessage(conn)
	if err != nil {
		return 0, err
	}
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		return 0, fmt.Errorf("malformed message: %w", err)
	}
	if err := checkReply(&m, id, dns.TypeSOA); err != nil {
		return 0, err
	}
	for _, rr := range m.Answer {
		if soa, ok := rr.(*dns.SOA); ok && soa.Hdr.Name == apex {
			return soa.Serial, nil
		}
	}
	return 0, errors.New("the answer has no SOA record")
}

// receive transfers the zone.
func receive(conn net.Conn) ([]dns.RR, error) {
	id, err := send(conn, dns.TypeAXFR)
	if err != nil {
		return nil, err
	}
	t := transfer{id: id}
	for !t.done {
		msg, err := readMessage(conn)
		if err != nil {
			return nil, fmt.Errorf("after %d records: %w", len(t.rrs), err)
		}
		if err := t.add(msg); err != nil {
			return nil, err
		}
	}
	return t.rrs, nil
}

// send asks for the zone's records of a type, and returns the message's id.
func send(conn net.Conn, rrtype uint16) (uint16, error) {
	var m dns.Msg
	m.SetQuestion(apex, rrtype)
	m.RecursionDesired = false
	wire, err := m.Pack()
	if err != nil {
		return 0, err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...))
	return m.Id, err
}

// readMessage reads a message with its length (RFC 1035 section 4.2.2).
func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

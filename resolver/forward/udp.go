package forward

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"dens/resolver"
)

var (
	ErrCase   = resolver.ErrCase   // resolver.ErrCase, under the name that it has had here
	ErrForged = resolver.ErrForged // resolver.ErrForged, likewise
)

const (
	maxForged   = 16                     // wrong replies to one question
	udpBuffer   = 4096                   // bytes; replies are to be 1232 at most
	caseTimeout = 150 * time.Millisecond // for the right reply to come behind one with the wrong case
)

// Datagram exchanges messages over UDP. Each goes out from a socket of its own, so from a port of the
// kernel's random choice, with a random id and the name in random case (RFC 5452 section 10).
type Datagram struct {
	dial   Dialer
	chance *chance
}

// NewDatagram returns a Datagram. dial nil connects to addresses only; src nil is ChaCha8 with a random
// seed, and is used under a lock.
func NewDatagram(dial Dialer, src rand.Source) *Datagram {
	if dial == nil {
		dial = dialAddress
	}
	return &Datagram{dial: dial, chance: newChance(src)}
}

// Exchange implements resolver.Exchanger. The reply may be truncated. Replies that do not match are
// passed over; the error is ErrCase or ErrForged when there were only such.
func (d *Datagram) Exchange(ctx context.Context, to netip.AddrPort, req, buf []byte) ([]byte, error) {
	return d.exchange(ctx, to.String(), req, buf, true)
}

// ExchangeAsIs is Exchange for a server that does not repeat the case of names: it sends the name as it
// is and takes back any case, and an error that is a bare header. What 0x20 would have made harder for a
// forger is gone, so one reply should not be believed by itself.
func (d *Datagram) ExchangeAsIs(ctx context.Context, to netip.AddrPort, req, buf []byte) ([]byte, error) {
	return d.exchange(ctx, to.String(), req, buf, false)
}

// exchange without mix sends the name as it is, and takes back any case and a bare error.
func (d *Datagram) exchange(ctx context.Context, addr string, req, buf []byte, mix bool) ([]byte, error) {
	original, ok := questionOf(req)
	if !ok {
		return nil, errRequest
	}
	sent := append([]byte(nil), req...)
	id := d.chance.id()
	binary.BigEndian.PutUint16(sent, id)
	question := sent[headerLen : headerLen+len(original)]
	if mix {
		d.chance.mixCase(question[:len(question)-4])
	}
	conn, err := d.dial(ctx, "udp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(sent); err != nil {
		return nil, orContext(ctx, err)
	}
	if cap(buf) < udpBuffer {
		buf = make([]byte, udpBuffer)
	}
	buf = buf[:cap(buf)]
	unsure := false
	for bad := 0; bad < maxForged; bad++ {
		n, err := conn.Read(buf)
		if err != nil {
			if unsure {
				return nil, ErrCase
			}
			return nil, orContext(ctx, err)
		}
		m := match(buf[:n], id, question)
		if m == exact || m != foreign && !mix {
			restore(buf, req, original)
			return buf[:n], nil
		}
		if m != foreign && !unsure {
			unsure = true
			conn.SetReadDeadline(time.Now().Add(caseTimeout))
		}
	}
	return nil, ErrForged
}

// orContext prefers the reason why a deadline was forced over the error that it caused.
func orContext(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	return err
}

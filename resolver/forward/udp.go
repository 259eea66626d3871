package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
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

// Datagram exchanges messages over UDP. Each goes out from a port of its own, of the kernel's random choice,
// with a random id and the name in random case (RFC 5452 section 10).
type Datagram struct {
	dial    Dialer
	own     bool // dial was not passed in: sockets will do as well
	sockets *sockets
	chance  *chance
}

// NewDatagram returns a Datagram. dial nil connects to addresses only; src nil is ChaCha8 with a random
// seed, and is used under a lock. Close it to close the sockets that it keeps.
func NewDatagram(dial Dialer, src rand.Source) *Datagram {
	d := &Datagram{dial: dial, own: dial == nil, sockets: new(sockets), chance: newChance(src)}
	if d.own {
		d.dial = dialAddress
	}
	return d
}

// Close closes the sockets that are kept for the next exchanges; those in use are closed after theirs.
func (d *Datagram) Close() error {
	d.sockets.close()
	return nil
}

// Exchange implements resolver.Exchanger. The reply may be truncated. Replies that do not match are
// passed over; the error is ErrCase or ErrForged when there were only such.
func (d *Datagram) Exchange(ctx context.Context, to netip.AddrPort, req, buf []byte) ([]byte, error) {
	return d.exchange(ctx, target{to: to}, req, buf, true)
}

// ExchangeAsIs is Exchange for a server that does not repeat the case of names: it sends the name as it
// is and takes back any case, and an error that is a bare header. What 0x20 would have made harder for a
// forger is gone, so one reply should not be believed by itself.
func (d *Datagram) ExchangeAsIs(ctx context.Context, to netip.AddrPort, req, buf []byte) ([]byte, error) {
	return d.exchange(ctx, target{to: to}, req, buf, false)
}

// target is a server by its address, or where that is not known, as host:port.
type target struct {
	to   netip.AddrPort
	host string
}

func newTarget(addr string) target {
	if to, err := netip.ParseAddrPort(addr); err == nil {
		return target{to: to}
	}
	return target{host: addr}
}

func (t target) String() string {
	if t.host != "" {
		return t.host
	}
	return t.to.String()
}

// exchange without mix sends the name as it is, and takes back any case and a bare error.
func (d *Datagram) exchange(ctx context.Context, to target, req, buf []byte, mix bool) ([]byte, error) {
	original, ok := questionOf(req)
	if !ok {
		return nil, errRequest
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := asked{sent: append([]byte(nil), req...), id: d.chance.id(), mixed: mix}
	binary.BigEndian.PutUint16(a.sent, a.id)
	a.question = a.sent[headerLen : headerLen+len(original)]
	if mix {
		d.chance.mixCase(a.question[:len(original)-4])
	}
	if cap(buf) < udpBuffer {
		buf = make([]byte, udpBuffer)
	}
	n, err := d.carry(ctx, to, &a, buf[:cap(buf)])
	if err != nil {
		return nil, err
	}
	restore(buf[:n], req, original)
	return buf[:n], nil
}

// carry has a question asked by a socket of its own.
func (d *Datagram) carry(ctx context.Context, to target, a *asked, buf []byte) (int, error) {
	if d.own && to.host == "" && to.to.Addr().Zone() == "" {
		s, err := d.sockets.take(to.to)
		if err == nil {
			stop := context.AfterFunc(ctx, s.interrupt)
			n, err := a.over(ctx, s, buf)
			d.sockets.put(s, stop() && err == nil)
			return n, err
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return 0, err
		}
	}
	conn, err := d.dial(ctx, "udp", to.String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	return a.over(ctx, conn, buf)
}

// asked is a question as it is sent.
type asked struct {
	sent     []byte
	question []byte // of sent
	id       uint16
	mixed    bool // its case counts
}

// association is a socket that is connected to a server.
type association interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
}

// over sends the question and returns the length of the reply in buf.
func (a *asked) over(ctx context.Context, s association, buf []byte) (int, error) {
	if _, err := s.Write(a.sent); err != nil {
		return 0, orContext(ctx, err)
	}
	unsure := false
	for bad := 0; bad < maxForged; bad++ {
		n, err := s.Read(buf)
		if err != nil {
			if unsure {
				return 0, ErrCase
			}
			return 0, orContext(ctx, err)
		}
		m := match(buf[:n], a.id, a.question)
		if m == exact || m != foreign && !a.mixed {
			return n, nil
		}
		if m != foreign && !unsure {
			unsure = true
			s.SetReadDeadline(time.Now().Add(caseTimeout)) //nolint:errcheck // without it, ctx ends the wait
		}
	}
	return 0, ErrForged
}

// orContext prefers the reason why a deadline was forced over the error that it caused.
func orContext(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	return err
}

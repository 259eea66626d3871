package stream

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// tape is a connection that keeps what is written.
type tape struct {
	net.Conn
	bytes.Buffer
}

func (t *tape) Write(p []byte) (int, error)      { return t.Buffer.Write(p) }
func (t *tape) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (t *tape) Close() error                     { return nil }
func (t *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4} }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// FuzzSegments gives a connection octets in pieces, and compares its replies with those that whole messages
// have: however they are cut, and whatever comes behind them, all before the first that is wrong are answered.
func FuzzSegments(f *testing.F) {
	f.Add(burst(3), []byte{1, 200, 7})
	f.Add(append(burst(2), 0, 0, 1, 2), []byte{30})
	f.Add(append(framed(message(bitMiss), message(bitLong), message(bitLong|bitMiss)), 255), []byte{3})
	f.Add(framed(message(2), append(message(4), make([]byte, 5000)...), message(bitSilent), message(2)), []byte{255, 255})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{4})
	f.Add(bytes.Repeat(framed(message(bitLong)), 20), []byte{})
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		hits, misses := model(data)
		gotHits, gotMisses := play(t, data, cuts)
		if !slices.EqualFunc(gotHits, hits, bytes.Equal) {
			t.Fatalf("%d replies at once, want %d", len(gotHits), len(hits))
		}
		slices.SortFunc(misses, bytes.Compare)
		slices.SortFunc(gotMisses, bytes.Compare)
		if !slices.EqualFunc(gotMisses, misses, bytes.Equal) {
			t.Fatalf("%d replies later, want %d", len(gotMisses), len(misses))
		}
	})
}

// model says what is answered at once, in this order, and what later, in any.
func model(data []byte) (hits, misses [][]byte) {
	for len(data) >= 2 {
		n := int(binary.BigEndian.Uint16(data))
		if n == 0 || len(data)-2 < n {
			break
		}
		msg := data[2 : 2+n]
		data = data[2+n:]
		if wire.Peek(msg).Kind == wire.Silent {
			break
		}
		id := binary.BigEndian.Uint16(msg)
		if id&bitMiss != 0 {
			misses = append(misses, appendEcho(nil, msg))
			continue
		}
		if id&bitSilent != 0 || len(appendEcho(nil, msg)) > wire.MaxMessage {
			break
		}
		hits = append(hits, appendEcho(nil, msg))
	}
	// One that is too long to be sent as a late reply is not sent, and ends the reading at some time.
	return hits, slices.DeleteFunc(misses, func(m []byte) bool { return len(m) > wire.MaxMessage })
}

// play does what the goroutine of a connection does, with pieces of data as what it reads.
func play(t *testing.T, data, cuts []byte) (hits, misses [][]byte) {
	in := intake.New(intake.Config{Limits: intake.Limits{MaxPipeline: 2}}, echo{})
	defer in.Close()
	out := new(tape)
	l := New(Config{Intake: in, Protocol: wire.TCP}, nobody{})
	c := newConn(l, out)
	c.place = in.Admit(c.peer.Addr(), wire.TCP, c.Close)
	defer c.place.Leave()
	c.session = newDNSSession(c, "")
	s := new(slab)
	for i := 0; len(data) > 0 && c.cause == nil; i++ {
		have := copy(s.in[:], c.rest)
		n := len(data)
		if len(cuts) > 0 {
			n = min(n, 1+int(cuts[i%len(cuts)]))
		}
		n = copy(s.in[have:], data[:n])
		data = data[n:]
		left := c.take(s, nil, have, n)
		if left > MaxUnconsumed {
			t.Fatalf("%d octets are left of %d", left, MaxUnconsumed)
		}
		c.keep(s.in[:left])
	}
	c.session.End()
	if !c.awaitRoom(1) {
		t.Fatal("the connection was closed")
	}
	wait(t, "the places to be given back", func() bool { return in.Load() == intake.Load{} })
	for _, msg := range readFrames(t, &out.Buffer, -1) {
		if binary.BigEndian.Uint16(msg)&bitMiss != 0 {
			misses = append(misses, msg)
		} else {
			hits = append(hits, msg)
		}
	}
	return hits, misses
}

// nobody is a socket that no client reaches.
type nobody struct{ net.Listener }

func (nobody) Addr() net.Addr { return &net.TCPAddr{} }

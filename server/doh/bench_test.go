package doh

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/http2"

	"dens/internal/wire"
	"dens/server/intake"
)

const hitBurst = 16

// still answers with what it has.
type still struct {
	actor
	packed []byte
}

func (s *still) Hit(q *wire.Query, buf []byte) ([]byte, bool) {
	return append(buf[:0], s.packed...), true
}

// hits returns a source of bursts whose header blocks are alike, as a client sends them that knows the table.
func hits(p *peer) (in func() []byte, room []byte) {
	h := &still{packed: (&actor{}).reply(queryOf(p.t, "www.example"), nil)}
	p.res.in.SetHandler(h)
	p.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	p.must(p.framer.WriteWindowUpdate(0, 1<<30))
	p.get(1, "www.example")
	p.send()
	p.replies()
	for range hitBurst {
		p.get(0, "www.example")
	}
	burst := append([]byte(nil), p.in.Bytes()...)
	p.in.Reset()
	next := uint32(3)
	return func() []byte {
		p.s.sendWindow = 1 << 30
		for off := 0; off < len(burst); next += 2 {
			binary.BigEndian.PutUint32(burst[off+5:], next)
			off += frameHead + int(burst[off+1])<<8 + int(burst[off+2])
		}
		return burst
	}, make([]byte, 0, 18<<10)
}

func queryOf(t testing.TB, name string) *wire.Query {
	msg := packed(t, question(name))
	return &wire.Query{Request: wire.Peek(msg), Msg: msg}
}

func receive(t testing.TB, p *peer, in, room []byte) {
	for len(in) > 0 {
		n, _, err := p.s.Receive(in, room)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		in = in[n:]
	}
}

// BenchmarkHit is one query of a burst, from the decrypted request to the reply that is to be encrypted.
func BenchmarkHit(b *testing.B) {
	p := newPeer(b, intake.Config{}, newActor())
	in, room := hits(p)
	b.ReportAllocs()
	for n := 0; n < b.N; n += hitBurst {
		receive(b, p, in(), room)
	}
}

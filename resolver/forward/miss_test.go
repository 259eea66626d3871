package forward_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"dens/cache"
	"dens/internal/wire"
	"dens/reply"
	"dens/resolver"
	"dens/resolver/forward"
)

const headerLen = 12

// mirror is a server that answers questions of questionLen octets with a fixed record and as little work as can be.
func mirror(b *testing.B) string {
	b.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	go func() {
		record := []byte{0xc0, headerLen, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1}
		in, out := make([]byte, 4096), make([]byte, 0, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			const end = headerLen + questionLen
			if n < end {
				continue
			}
			out = append(append(append(out[:0], in[:end]...), record...), in[end:n]...)
			out[2], out[3] = out[2]|0x80, out[3]|0x80
			binary.BigEndian.PutUint16(out[6:], 1)
			conn.WriteToUDPAddrPort(out, from)
		}
	}()
	return conn.LocalAddr().String()
}

const questionLen = 1 + 8 + 1 + 7 + 1 + 1 + 1 + 4 // 8 digits, example, x, the root; type, class

// BenchmarkMiss is what a name costs that is not in the cache: all the way from the request to a server on
// loopback and back, a hundred at a time.
func BenchmarkMiss(b *testing.B) {
	f, err := forward.New(forward.Config{Upstreams: []forward.Upstream{{Protocol: forward.UDP, Addr: mirror(b)}}})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	router, err := resolver.NewRouter([]resolver.Route{{Zone: ".", Kind: forward.Kind, Resolver: f}})
	if err != nil {
		b.Fatal(err)
	}
	c := cache.New(cache.NewMemory(cache.MemoryConfig{}), reply.New(router, reply.Config{}), cache.Config{})
	defer c.Close(b.Context())
	var names atomic.Uint64
	b.ReportAllocs()
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		req := append(make([]byte, headerLen), "\x0800000000\x07example\x01x\x00\x00\x01\x00\x01"...)
		req[2], req[5] = 1, 1 // RD, one question
		buf := make([]byte, 4096)
		for pb.Next() {
			n := names.Add(1)
			for i := range 8 {
				req[headerLen+8-i] = '0' + byte(n%10)
				n /= 10
			}
			q := &wire.Query{Request: wire.Peek(req), Msg: req, Start: time.Now(), Limit: 1232}
			out, ok := c.Hit(q, buf)
			if !ok {
				out = c.Miss(b.Context(), q, buf)
			}
			if len(out) < len(req)+16 {
				b.Errorf("reply %x", out)
				return
			}
		}
	})
}

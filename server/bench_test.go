package server

import (
	"context"
	"net"
	"testing"

	"dens/internal/wire"
)

// BenchmarkUDP is one question after the other: the time is mostly two system calls on either side. The
// allocations are those of client and server together.
func BenchmarkUDP(b *testing.B) {
	echo := handlerFunc(func(_ context.Context, req []byte, _ wire.Peer, buf []byte) []byte {
		buf = append(buf, req...)
		buf[2] |= 0x80
		return buf
	})
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		b.Run(listen, func(b *testing.B) {
			s := New(Config{DNS: []string{listen}}, echo)
			if err := s.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() {
				if err := s.Shutdown(context.Background()); err != nil {
					b.Error(err)
				}
			}()
			to := net.UDPAddrFromAddrPort(s.Addrs()[0].Addr)
			to.IP = net.IPv4(127, 0, 0, 1)
			conn, err := net.DialUDP("udp", nil, to)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			req, buf := packed(b, question("example.org")), make([]byte, 512)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(req); err != nil {
					b.Fatal(err)
				}
				if _, err := conn.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

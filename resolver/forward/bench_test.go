package forward

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
)

// mirror is a server that answers with a fixed record and as little work as can be.
func mirror(b *testing.B) netip.AddrPort {
	b.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { pc.Close() })
	conn := pc.(*net.UDPConn)
	go func() {
		record := []byte{0xc0, headerLen, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1}
		in, out := make([]byte, 4096), make([]byte, 0, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			question, ok := questionOf(in[:n])
			if !ok {
				continue
			}
			end := headerLen + len(question)
			out = append(append(append(out[:0], in[:end]...), record...), in[end:n]...)
			out[2], out[3] = out[2]|0x80, out[3]|0x80
			binary.BigEndian.PutUint16(out[6:], 1)
			conn.WriteToUDPAddrPort(out, from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// BenchmarkDatagram is one exchange at a time over loopback.
func BenchmarkDatagram(b *testing.B) {
	to := mirror(b)
	d := NewDatagram(nil, nil)
	defer d.Close()
	req, buf := packed(b, "www.example.org."), make([]byte, udpBuffer)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Exchange(b.Context(), to, req, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResolveParallel is a Forwarder with a hundred questions at a time.
func BenchmarkResolveParallel(b *testing.B) {
	f := forwarder(b, Config{}, udp(mirror(b).String(), "one"))
	b.ReportAllocs()
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.Resolve(b.Context(), query("www.example.org.")); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

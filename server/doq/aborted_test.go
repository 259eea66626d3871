package doq

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"dens/server/intake"
)

// TestAbortedConnections: clients that vanish without a word, at any point of a connection, leave nothing behind
// while the Listener goes on.
func TestAbortedConnections(t *testing.T) {
	f := begin(t, intake.Limits{IdleTimeout: 2 * time.Second, ReadTimeout: 2 * time.Second, QueryTimeout: 300 * time.Millisecond})
	ask(t, f.dial(t, ProtoDoQ), "hit.example")
	before := runtime.NumGoroutine()
	abort := []struct {
		protocol string
		do       func(*quic.Conn)
	}{
		{ProtoDoQ, func(*quic.Conn) {}},
		{ProtoDoQ, func(q *quic.Conn) { send(t, q, packed(t, question("slow.example"))) }},
		{ProtoDoQ, func(q *quic.Conn) { send(t, q, packed(t, question("big.example"))) }}, // and never read
		{ProtoDoQ, func(q *quic.Conn) {
			for range 5 {
				str, err := q.OpenStream()
				if err != nil {
					t.Error(err)
					return
				}
				str.Write([]byte{0, 40, 0}) //nolint:errcheck // it is not to come to an end
			}
		}},
		{ProtoHTTP3, func(*quic.Conn) {}}, // no control stream
		{ProtoHTTP3, func(q *quic.Conn) {
			for range 5 {
				str, err := q.OpenStream()
				if err != nil {
					t.Error(err)
					return
				}
				str.Write([]byte{frameHeaders, 40}) //nolint:errcheck // as above
			}
			if str, err := q.OpenUniStream(); err == nil {
				str.Write([]byte{streamControl, frameSettings}) //nolint:errcheck // as above
			}
		}},
	}
	for n := range 60 {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(fmt.Sprintf("127.0.1.%d", n%40))})
		if err != nil {
			t.Fatal(err)
		}
		tr := &quic.Transport{Conn: socket}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		a := abort[n%len(abort)]
		q, err := tr.Dial(ctx, net.UDPAddrFromAddrPort(f.Addr()), f.clientTLS(a.protocol), nil)
		if err != nil {
			t.Fatal(err)
		}
		a.do(q)
		time.Sleep(time.Millisecond)
		cancel()
		socket.Close() // nothing is said to the server
		tr.Close()
	}
	wait(t, "all that was held for them to be let go", func() bool {
		conns := 0
		f.each(func(*conn) { conns++ })
		return conns == 0 && f.in.Load() == (intake.Load{}) && runtime.NumGoroutine() <= before
	})
	ask(t, f.dial(t, ProtoDoQ), "hit.example")
}

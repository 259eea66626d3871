package stream

import (
	"bytes"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

func TestRecords(t *testing.T) {
	var all []byte
	ends := map[int]bool{0: true} // where a record ends
	for _, size := range []int{1, 0, 300, 17, 16640} {
		all = append(all, 23, 3, 3, byte(size>>8), byte(size))
		all = append(all, bytes.Repeat([]byte{23}, size)...)
		ends[len(all)] = true
	}
	for _, step := range []int{1, 2, 3, 5, 7, 64, 307, 4096, len(all)} {
		var r records
		for at := 0; at < len(all); {
			n := min(step, len(all)-at)
			r.take(all[at : at+n])
			if at += n; r.partial() == ends[at] {
				t.Fatalf("in steps of %d: after %d octets a record is said to be partial: %v", step, at, r.partial())
			}
		}
	}
}

// TestPartialRecord: a TLS record that does not end is not waited for any longer than a message; one that comes in
// pieces is taken, and who sends nothing is idle.
func TestPartialRecord(t *testing.T) {
	server, client := newTLS(t, "dot")
	for _, w := range []way{polled, plain} {
		s := start(t, w, Config{TLS: server, Protocol: wire.DoT}, intake.Limits{ReadTimeout: time.Second}, echo{})
		dial := func() (*corked, *tls.Conn, []byte) {
			below := &corked{Conn: s.dial(t, nil)}
			conn := tls.Client(below, client)
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			write(t, conn, burst(1)) // so that all of the handshake is over
			readFrames(t, conn, 1)
			below.on = true
			write(t, conn, burst(1))
			return below, conn, below.held
		}
		idleBelow, idle, idleRecord := dial()
		cuts := []int{1, 5, 20}
		var slow []net.Conn
		for _, cut := range cuts {
			below, conn, record := dial()
			write(t, below.Conn, record[:cut])
			slow = append(slow, conn)
		}
		for _, conn := range slow {
			ended(t, conn)
		}
		if got := s.stats.Slow.Load(); got != uint64(len(cuts)) {
			t.Errorf("%s: %d slow, want %d", w, got, len(cuts))
		}
		write(t, idleBelow.Conn, idleRecord)
		if got := readFrames(t, idle, 1); len(got) != 1 {
			t.Errorf("%s: who was idle for a while got %d replies", w, len(got))
		}
		below, conn, record := dial()
		for _, b := range record {
			write(t, below.Conn, []byte{b})
		}
		if got := readFrames(t, conn, 1); len(got) != 1 {
			t.Errorf("%s: a record in pieces got %d replies", w, len(got))
		}
	}
}

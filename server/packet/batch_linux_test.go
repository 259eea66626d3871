package packet

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dens/server/intake"
)

// TestNoRoomToSend: a socket that takes nothing holds its reader up for a moment and no longer. What it would not
// take is counted, and what it takes later is sent.
func TestNoRoomToSend(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	stats := new(intake.Stats)
	s := &socket{Listener: &Listener{in: intake.New(intake.Config{Stats: stats}, newActor())}}
	reply := []byte("a reply")
	send := func(n int) time.Duration {
		replies, iovs := make([]message, n), make([]unix.Iovec, n)
		for i := range replies {
			replies[i].set(&iovs[i], new(peerAddr), reply, nil)
			replies[i].header.Name = nil // the pair is connected
		}
		begin := time.Now()
		s.send(uintptr(fds[0]), new(joiner), replies)
		return time.Since(begin)
	}
	room := make([]byte, 100)
	drain := func() (n int) {
		for {
			got, err := unix.Read(fds[1], room)
			if err == unix.EAGAIN {
				return n
			}
			if err != nil || !bytes.Equal(room[:got], reply) {
				t.Fatalf("read %q, %v", room[:got], err)
			}
			n++
		}
	}
	const many = 100000
	send(many)
	taken := drain()
	if lost := int(stats.WriteErrors.Load()); taken == 0 || lost == 0 || taken+lost != many {
		t.Fatalf("%d were taken and %d lost of %d", taken, lost, many)
	}
	send(taken)
	if again := send(2); again >= sendPause || int(stats.WriteErrors.Load()) != many-taken+2 {
		t.Errorf("%v for two more, %d lost", again, stats.WriteErrors.Load())
	}
	if drain() != taken {
		t.Error("replies were lost while there was room")
	}
}

package doq

import (
	"context"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"dens/internal/wire"
	"dens/server/intake"
)

func TestDrain(t *testing.T) {
	before := descriptors(t)
	f := begin(t, intake.Limits{})
	idle, busy := f.dial(t, ProtoDoQ), f.dial(t, ProtoDoQ)
	var under []*quic.Stream
	for range 10 {
		under = append(under, send(t, busy, packed(t, question("slow.example"))))
		<-f.actor.slow
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		f.Drain(context.Background())
	}()
	if code := ended(t, idle); code != codeNoError {
		t.Errorf("an idle connection was closed with %d", code)
	}
	close(f.actor.release)
	for n, str := range under {
		if m, err := receive(str); err != nil || who(m) == "" {
			t.Errorf("query %d: %v, %v", n, m, err)
		}
	}
	if code := ended(t, busy); code != codeNoError {
		t.Errorf("a busy connection was closed with %d", code)
	}
	<-drained
	if got := descriptors(t); got > before+2 { // those of the two clients
		t.Errorf("%d descriptors were open, and %d are", before, got)
	}
}

func TestDrainDoesNotWaitForEver(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoDoQ)
	send(t, q, packed(t, question("slow.example")))
	<-f.actor.slow
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	f.Drain(ctx)
	ended(t, q)
	wait(t, "the handler to be told", func() bool { return f.actor.gone.Load() == 1 })
}

// TestRestart has the system fail to read from the socket.
func TestRestart(t *testing.T) {
	f := begin(t, intake.Limits{})
	ask(t, f.dial(t, ProtoDoQ), "hit.example")
	f.mu.Lock()
	failed := f.transport
	f.mu.Unlock()
	failed.Close()
	wait(t, "QUIC to begin anew", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.transport != failed
	})
	ask(t, f.dial(t, ProtoDoQ), "hit.example")
}

// TestRefresh turns one of two protocols off, and on again.
func TestRefresh(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoDoQ)
	c := f.browser(t)
	if _, err := fetch(c, "hit.example"); err != nil {
		t.Fatal(err)
	}
	f.served.Store(1 << wire.DoH3)
	f.Refresh()
	if _, err := f.tryDial(t, ProtoHTTP3); err == nil {
		t.Error("HTTP/3 is served after it was turned off")
	}
	ask(t, q, "hit.example")
	wait(t, "the connection of HTTP/3 to end", func() bool { return f.stats.Conns()[wire.DoH3-wire.TCP].Open == 0 })
	f.served.Store(1 << wire.DoQ)
	f.Refresh()
	if code := ended(t, q); code != codeNoError {
		t.Errorf("closed with %d", code)
	}
	if _, err := fetch(c, "hit.example"); err != nil {
		t.Error(err)
	}
}

// TestSlowReaders has a client that does not take its reply.
func TestSlowReaders(t *testing.T) {
	f := begin(t, intake.Limits{WriteTimeout: time.Second})
	tr := transport(t, "127.0.0.1")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	q, err := tr.Dial(ctx, f.socket.LocalAddr(), f.clientTLS(ProtoDoQ), &quic.Config{
		InitialStreamReceiveWindow: 2000, MaxStreamReceiveWindow: 2000,
	})
	if err != nil {
		t.Fatal(err)
	}
	send(t, q, packed(t, question("big.example")))
	wait(t, "the reply to be given up", func() bool { return f.stats.WriteErrors.Load() == 1 })
	ask(t, q, "hit.example")
}

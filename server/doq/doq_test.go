package doq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"dens/internal/wire"
	"dens/server/intake"
)

func TestQueries(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoDoQ)
	if got := who(ask(t, q, "miss.example")); got != "doq 127.0.0.1" {
		t.Errorf("the handler saw %q", got)
	}
	if m := ask(t, q, "hit.example"); m.Rcode != dns.RcodeSuccess || m.Id != 0 || len(m.Question) != 1 {
		t.Errorf("a hit came back as %v", m)
	}
	if m := ask(t, q, "big.example"); len(m.Answer) != 801 {
		t.Errorf("a long reply has %d records", len(m.Answer))
	}
	if m := ask(t, q, "panic.example"); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("a panic came back as %v", m)
	}
	long := question("miss.example")
	long.SetEdns0(1232, false)
	opt := long.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: 65001, Data: make([]byte, 60000)})
	m, err := receive(send(t, q, packed(t, long)))
	if err != nil || who(m) == "" {
		t.Errorf("a long question: %v, %v", m, err)
	}
	if got := f.stats.Conns()[wire.DoQ-wire.TCP]; got.Opened != 1 || got.Open != 1 {
		t.Errorf("connections: %+v", got)
	}
}

// TestBrokenProtocol has what RFC 9250 section 4.3.3 calls fatal.
func TestBrokenProtocol(t *testing.T) {
	f := begin(t, intake.Limits{ReadTimeout: 2 * time.Second})
	good := packed(t, question("hit.example"))
	withID := packed(t, func() *dns.Msg { m := question("hit.example"); m.Id = 7; return m }())
	keepalive := question("hit.example")
	keepalive.SetEdns0(1232, false)
	keepalive.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}}
	missing := question("miss.example")
	missing.SetEdns0(1232, false)
	missing.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE, Timeout: 5}}
	reply := packed(t, new(dns.Msg).SetReply(question("hit.example")))
	for _, tt := range []struct {
		name string
		do   func(q *quic.Conn)
	}{
		{"length 0", func(q *quic.Conn) { send(t, q, []byte{0, 0}) }},
		{"no header", func(q *quic.Conn) { send(t, q, append([]byte{0, 11}, good[2:13]...)) }},
		{"nothing but FIN", func(q *quic.Conn) { send(t, q, nil) }},
		{"half a length", func(q *quic.Conn) { send(t, q, good[:1]) }},
		{"half a message", func(q *quic.Conn) { send(t, q, good[:len(good)-3]) }},
		{"two messages", func(q *quic.Conn) { send(t, q, append(good[:len(good):len(good)], good...)) }},
		{"an octet more", func(q *quic.Conn) { send(t, q, append(good[:len(good):len(good)], 0)) }},
		{"a message ID", func(q *quic.Conn) { send(t, q, withID) }},
		{"a reply", func(q *quic.Conn) { send(t, q, reply) }},
		{"keepalive", func(q *quic.Conn) { send(t, q, packed(t, keepalive)) }},
		{"keepalive with a value", func(q *quic.Conn) { send(t, q, packed(t, missing)) }},
		{"a unidirectional stream", func(q *quic.Conn) {
			str, err := q.OpenUniStream()
			if err != nil {
				t.Fatal(err)
			}
			str.Write(good) //nolint:errcheck // the server closes
		}},
		{"no FIN", func(q *quic.Conn) {
			str, err := q.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := str.Write(good); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := f.dial(t, ProtoDoQ)
			other := f.dial(t, ProtoDoQ)
			abuse := f.stats.Abuse.Load()
			tt.do(q)
			if code := ended(t, q); code != codeProtocol {
				t.Errorf("closed with %d", code)
			}
			if got := f.stats.Abuse.Load() - abuse; got != 1 {
				t.Errorf("counted %d times", got)
			}
			ask(t, other, "hit.example")
		})
	}
}

func TestStalledStreams(t *testing.T) {
	f := begin(t, intake.Limits{ReadTimeout: 2 * time.Second})
	q := f.dial(t, ProtoDoQ)
	whole := packed(t, question("hit.example"))
	var stalled []*quic.Stream
	for n := range 20 {
		str, err := q.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := str.Write(whole[:1+n]); err != nil {
			t.Fatal(err)
		}
		stalled = append(stalled, str)
	}
	for n, str := range stalled {
		ask(t, q, "hit.example") // nobody else is disturbed
		_ = str.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err := str.Read(make([]byte, 1))
		var reset *quic.StreamError
		if !errors.As(err, &reset) || reset.ErrorCode != codeUnspecified || !reset.Remote {
			t.Errorf("stream %d ended with %v", n, err)
		}
	}
	if got := f.stats.Slow.Load(); got != 20 {
		t.Errorf("%d slow messages were counted", got)
	}
}

func TestCancelledQueries(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoDoQ)
	str := send(t, q, packed(t, question("slow.example")))
	<-f.actor.slow
	str.CancelRead(codeCancelled)
	wait(t, "the handler to be told", func() bool { return f.actor.gone.Load() == 1 })
	half, err := q.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	half.CancelWrite(codeCancelled)
	_ = half.SetReadDeadline(time.Now().Add(10 * time.Second))
	var reset *quic.StreamError
	if _, err := half.Read(make([]byte, 1)); !errors.As(err, &reset) || reset.ErrorCode != codeCancelled {
		t.Errorf("a cancelled stream ended with %v", err)
	}
	ask(t, q, "hit.example")
	silent := send(t, q, packed(t, question("silent.example")))
	if _, err := receive(silent); !errors.As(err, &reset) || reset.ErrorCode != codeInternal {
		t.Errorf("a query without a reply ended with %v", err)
	}
}

// TestRapidReset cancels without end.
func TestRapidReset(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoDoQ)
	query := packed(t, question("slow.example"))
	for range 20 * maxCancelled {
		str, err := q.OpenStreamSync(q.Context())
		if err != nil {
			break
		}
		_, _ = str.Write(query)
		str.Close()
		str.CancelRead(codeCancelled)
	}
	if code := ended(t, q); code != codeExcessiveLoad {
		t.Errorf("closed with %d", code)
	}
	if got := f.stats.Abuse.Load(); got != 1 {
		t.Errorf("counted %d times", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	f := begin(t, intake.Limits{})
	var group sync.WaitGroup
	for n := range 10 {
		q := f.dial(t, ProtoDoQ)
		for i := range 100 {
			group.Go(func() {
				name := fmt.Sprintf("%s%d-%d.example", []string{"hit", "miss"}[i%2], n, i)
				octets, err := question(name).Pack()
				if err != nil {
					t.Error(err)
					return
				}
				str, err := q.OpenStreamSync(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = str.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(octets))), octets...))
				str.Close()
				m, err := receive(str)
				if err != nil || !strings.HasPrefix(m.Question[0].Name, name) {
					t.Errorf("%s: %v, %v", name, m, err)
				}
			})
		}
	}
	group.Wait()
}

func TestLimits(t *testing.T) {
	f := begin(t, intake.Limits{MaxConnsPerClient: 2, MaxPipeline: 3, MaxStream: 2})
	q, second := f.dial(t, ProtoDoQ), f.dial(t, ProtoDoQ)
	wait(t, "both to have a place", func() bool { return f.stats.Conns()[wire.DoQ-wire.TCP].Open == 2 })
	third, err := f.tryDial(t, ProtoDoQ)
	if err != nil {
		t.Fatal(err)
	}
	if code := ended(t, third); code != codeExcessiveLoad {
		t.Errorf("a third connection was closed with %d", code)
	}
	for range 2 {
		send(t, q, packed(t, question("slow.example")))
		<-f.actor.slow
	}
	var reset *quic.StreamError
	if _, err := receive(send(t, q, packed(t, question("slow.example")))); !errors.As(err, &reset) || reset.ErrorCode != codeExcessiveLoad {
		t.Errorf("a third slow query ended with %v", err)
	}
	ask(t, second, "hit.example") // hits need no place
	if got := f.stats.Shed.Load(); got != 1 {
		t.Errorf("%d requests were shed", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := q.OpenStreamSync(ctx); err != nil {
		t.Errorf("a third stream: %v", err)
	}
	if _, err := q.OpenStream(); err == nil {
		t.Error("a fourth stream was let in")
	}
	close(f.actor.release)
}

func TestIdleConnectionsEnd(t *testing.T) {
	f := begin(t, intake.Limits{IdleTimeout: 1500 * time.Millisecond, MaxConns: 2})
	q := f.dial(t, ProtoDoQ)
	str := send(t, q, packed(t, question("slow.example")))
	<-f.actor.slow
	time.Sleep(2 * time.Second) // longer than the limit: with a query under way it does not count
	close(f.actor.release)
	if _, err := receive(str); err != nil {
		t.Errorf("a slow query ended with %v", err)
	}
	if code := ended(t, q); code != codeNoError {
		t.Errorf("closed with %d", code)
	}
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	f := begin(t, intake.Limits{MaxConns: 2})
	idle, busy := f.dial(t, ProtoDoQ), f.dial(t, ProtoDoQ)
	str := send(t, busy, packed(t, question("slow.example")))
	<-f.actor.slow
	wait(t, "both to have a place", func() bool { return f.stats.Conns()[wire.DoQ-wire.TCP].Open == 2 })
	ask(t, f.dial(t, ProtoDoQ), "hit.example")
	if code := ended(t, idle); code != codeNoError {
		t.Errorf("closed with %d", code)
	}
	close(f.actor.release)
	if _, err := receive(str); err != nil {
		t.Errorf("the busy one's query ended with %v", err)
	}
}

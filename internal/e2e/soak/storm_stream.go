package soak

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/miekg/dns"
)

// burst is n questions behind their lengths, all of which the server knows the answers to.
func (t *Target) burst(n int) []byte {
	var all []byte
	for range n {
		raw, err := t.Known[rand.IntN(len(t.Known))].Message().Pack()
		if err != nil {
			continue
		}
		all = append(all, Frame(raw)...)
	}
	return all
}

// fresh is a question whose answer the server has to ask for.
func fresh() []byte {
	m := new(dns.Msg).SetQuestion(fmt.Sprintf("r%d.nowhere.example.org.", rand.Uint64()), dns.TypeA)
	m.SetEdns0(1232, false)
	raw, err := m.Pack()
	if err != nil {
		return nil
	}
	return raw
}

// streamAbuses are those of connections, with or without TLS.
func streamAbuses() map[string]Abuse {
	return map[string]Abuse{
		"resets after asking": func(ctx context.Context, t *Target) {
			each(ctx, 20, []string{t.DNS}, func(c net.Conn) {
				c.Write(t.burst(10)) //nolint:errcheck // see storm.go, as all below
				c.Write(Frame(fresh()))
				reset(c)
			})
		},
		"resets at every port": func(ctx context.Context, t *Target) {
			each(ctx, 40, t.ports(), reset)
		},
		"closes right after asking": func(ctx context.Context, t *Target) {
			each(ctx, 20, []string{t.DNS}, func(c net.Conn) { c.Write(append(t.burst(5), Frame(fresh())...)) })
		},
		"half-open: asks, closes its side": func(ctx context.Context, t *Target) {
			each(ctx, 10, []string{t.DNS}, func(c net.Conn) {
				c.Write(append(t.burst(5), Frame(fresh())...))
				c.(*net.TCPConn).CloseWrite()
				untilClosed(c)
			})
		},
		"a length that never arrives": func(ctx context.Context, t *Target) {
			each(ctx, 10, []string{t.DNS}, func(c net.Conn) {
				c.Write(append(t.burst(1), 0, 200, 1, 2, 3))
				untilClosed(c)
			})
		},
		"a message octet by octet": func(ctx context.Context, t *Target) {
			each(ctx, 5, []string{t.DNS}, func(c net.Conn) {
				for _, b := range t.burst(1) {
					if _, err := c.Write([]byte{b}); err != nil || !pause(ctx, 300*time.Millisecond) {
						return
					}
				}
			})
		},
		"lengths of 0": func(ctx context.Context, t *Target) {
			each(ctx, 5, []string{t.DNS}, func(c net.Conn) {
				c.Write(bytes.Repeat([]byte{0, 0}, 5000))
				untilClosed(c)
			})
		},
	}
}

// crowdAbuses are those of many questions, connections and octets.
func crowdAbuses() map[string]Abuse {
	return map[string]Abuse{
		"asks thousands and reads none": func(ctx context.Context, t *Target) {
			each(ctx, 2, []string{t.DNS}, func(c net.Conn) {
				c.(*net.TCPConn).SetReadBuffer(4096)
				questions := t.burst(500)
				for range 20 {
					if _, err := c.Write(questions); err != nil {
						return
					}
				}
				<-ctx.Done()
			})
		},
		"asks without end what nobody knows": func(ctx context.Context, t *Target) {
			each(ctx, 2, []string{t.DNS}, func(c net.Conn) {
				for range 200 {
					c.Write(Frame(fresh()))
				}
				untilClosed(c)
			})
		},
		"a crowd from everywhere, idle": func(ctx context.Context, t *Target) {
			each(ctx, 200, t.ports(), untilClosed)
		},
		"a crowd from one address, idle": func(ctx context.Context, t *Target) {
			from := stranger()
			var crowd []net.Conn
			for i := range 100 {
				if c, err := dial(ctx, "tcp", from, t.ports()[i%3]); err == nil {
					crowd = append(crowd, c)
				}
			}
			pause(ctx, time.Second)
			for _, c := range crowd {
				c.Close()
			}
		},
		"garbage to every port": func(ctx context.Context, t *Target) {
			each(ctx, 40, t.ports(), func(c net.Conn) {
				c.Write(noise(4000))
				untilClosed(c)
			})
		},
		"replies instead of questions": func(ctx context.Context, t *Target) {
			each(ctx, 5, []string{t.DNS}, func(c net.Conn) {
				raw := t.burst(1)
				raw[4] |= 0x80
				c.Write(raw)
				untilClosed(c)
			})
		},
	}
}

// pause waits; false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

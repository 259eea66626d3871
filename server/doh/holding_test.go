package doh

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"dens/server/intake"
)

// TestSessionStarvedByMany: short replies that no window lets through are as few as the streams that SETTINGS allow.
func TestSessionStarvedByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, intake.Config{}, newActor()).greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for id := uint32(1); id < 2000; id += 2 {
			p.headers(id, true, fieldsOf("GET", "/")...)
		}
		p.send()
		if got := p.left(); got.streams != 64 || got.under != 64 {
			t.Errorf("%+v are kept, want 64", got)
		}
		if a := p.replies().streams[1999]; a == nil || a.reset == nil || *a.reset != http2.ErrCodeEnhanceYourCalm {
			t.Errorf("the last one: %+v", a)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := p.left(); got != (left{}) {
			t.Errorf("%+v are left", got)
		}
	})
}

// TestSessionHalfOpen: what requests that do not end make one connection keep is bounded, and given back.
func TestSessionHalfOpen(t *testing.T) {
	for name, begin := range map[string]func(p *peer, id uint32){
		"POST": func(p *peer, id uint32) {
			p.post(id)
			for range 8 {
				p.must(p.framer.WriteData(id, false, make([]byte, 512)))
			}
		},
		"GET": func(p *peer, id uint32) {
			p.headers(id, false, fieldsOf("GET", "/dns-query?dns="+b64(make([]byte, 4000)))...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, intake.Config{}, newActor()).greet()
				for id := uint32(1); id < 128; id += 2 {
					begin(p, id)
					p.send()
				}
				kept := 0
				for _, st := range p.s.streams {
					kept += len(st.msg)
				}
				if kept > maxHeld || kept < maxHeld/2 || kept != p.s.held {
					t.Errorf("%d octets are kept, %d are counted", kept, p.s.held)
				}
				if a := p.replies().streams[63]; a == nil || a.status != "503" || a.reset == nil || *a.reset != http2.ErrCodeNo {
					t.Errorf("got %+v", a)
				}
				p.must(p.framer.WriteRSTStream(1, http2.ErrCodeCancel))
				p.must(p.framer.WriteData(3, true, nil))
				p.send()
				time.Sleep(6 * time.Second)
				synctest.Wait()
				if got := p.left(); got != (left{}) || p.s.held != 0 {
					t.Errorf("%+v, %d octets are left", got, p.s.held)
				}
				p.get(129, "www.example")
				p.send()
				expect200(t, p.replies(), 129)
			})
		})
	}
}

// TestSessionLongSettings: each setting is paid for, since one may change the windows of all streams.
func TestSessionLongSettings(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	settings := make([]http2.Setting, 1000)
	for i := range settings {
		settings[i] = http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)}
	}
	p.must(p.framer.WriteSettings(settings...))
	p.send()
	var ce *connError
	if !errors.As(p.err, &ce) || ce.code != codeEnhanceYourCalm {
		t.Error(p.err)
	}
}

// TestSessionLateTrailers: trailers of a stream that was answered before its body had come end nothing else.
func TestSessionLateTrailers(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	p.post(1, "content-length", "70000", "expect", "100-continue")
	p.send()
	p.headers(1, true, "grpc-status", "0")
	p.get(3, "www.example")
	p.send()
	if p.err != nil {
		t.Fatal(p.err)
	}
	expect200(t, p.replies(), 3)
}

// stuckConn is a Conn whose Write waits until it is let go on.
type stuckConn struct {
	*wireConn
	begun, on chan struct{}
}

func (c stuckConn) Write(p []byte) error {
	c.begun <- struct{}{}
	<-c.on
	return c.wireConn.Write(p)
}

// TestSessionSettles: an acknowledgement comes after the frames that the settings of before let through.
func TestSessionSettles(t *testing.T) {
	for name, setting := range map[string]http2.Setting{
		"window": {ID: http2.SettingInitialWindowSize, Val: 10},
		"table":  {ID: http2.SettingHeaderTableSize, Val: 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := newActor()
			p := newPeer(t, intake.Config{}, a)
			conn := stuckConn{p.conn, make(chan struct{}), make(chan struct{})}
			p.greet().get(1, "slow.example")
			p.send()
			p.s.conn = conn
			p.replies()
			close(a.release)
			<-conn.begun // the reply is made, and waits to be written
			p.must(p.framer.WriteSettings(setting))
			acknowledged := make(chan struct{})
			go func() {
				defer close(acknowledged)
				p.send()
			}()
			select {
			case <-acknowledged:
				t.Error("the acknowledgement does not wait for the reply")
			case <-time.After(20 * time.Millisecond):
			}
			close(conn.on)
			<-acknowledged
			r := p.replies()
			if expect200(t, r, 1); r.acks != 1 {
				t.Errorf("%d acknowledgements", r.acks)
			}
		})
	}
}

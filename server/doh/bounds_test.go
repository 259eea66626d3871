package doh

import (
	"dens/server/intake"
	"errors"

	"golang.org/x/net/http2"
	"testing"
	"testing/synctest"
	"time"
)

// TestSessionWindows: long replies wait for the client's windows, and come whole.
func TestSessionWindows(t *testing.T) {
	for _, name := range []string{"big.example", "slowbig.example"} {
		synctest.Test(t, func(t *testing.T) {
			a := newActor()
			close(a.release)
			p := newPeer(t, intake.Config{}, a).greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
			p.get(1, name)
			for id := uint32(3); id < 63; id += 2 {
				p.get(id, "www.example")
			}
			p.send()
			synctest.Wait()
			r := p.replies()
			body := r.streams[1].body
			if len(body) != 100 || r.streams[1].ended || p.left().under != 1 {
				t.Fatalf("%d octets, %d under way", len(body), p.left().under)
			}
			expect200(t, r, 3)
			more := func() {
				p.send()
				synctest.Wait()
				if a := p.replies().streams[1]; a != nil {
					body = append(body, a.body...)
				}
			}
			p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 20000}))
			if more(); len(body) != 20000 {
				t.Fatalf("%d octets after a wider window", len(body))
			}
			p.must(p.framer.WriteWindowUpdate(1, 1<<20))
			more()
			if len(body) >= 64000 || len(body) < 60000 { // others had the rest
				t.Fatalf("%d octets within the window of the connection", len(body))
			}
			p.must(p.framer.WriteWindowUpdate(0, 1<<20))
			if more(); who(t, body) != "doh 192.0.2.77" || p.left().under != 0 || p.left().queued != 0 {
				t.Errorf("%d octets, %d under way, %d queued", len(body), p.left().under, p.left().queued)
			}
		})
	}
}

// TestSessionStarved: a client that opens no window is not waited for, and holds no more than is bounded.
func TestSessionStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, intake.Config{}, newActor()).greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for id := uint32(1); id < 20; id += 2 {
			p.get(id, "big.example")
		}
		p.get(21, "www.example")
		p.send()
		kept := p.left().queued
		if kept == 0 || kept > maxQueued {
			t.Fatalf("%d octets are kept", kept)
		}
		p.replies()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		r := p.replies()
		if a := r.streams[1]; a == nil || a.reset == nil || *a.reset != http2.ErrCodeCancel {
			t.Errorf("got %+v", a)
		}
		if p.left().queued != 0 || p.left().streams != 0 || p.left().under != 0 || p.stats.WriteErrors.Load() < 3 {
			t.Errorf("%d octets, %d streams are left", p.left().queued, p.left().streams)
		}
	})
}

// TestSessionSlowBody: a body that does not come ends its stream alone.
func TestSessionSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, intake.Config{}, newActor()).greet()
		p.post(1)
		for range 4 {
			p.must(p.framer.WriteData(1, false, []byte{0}))
			p.send()
			time.Sleep(time.Second)
		}
		p.post(3)
		p.send()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		r := p.replies()
		if a := r.streams[1]; a == nil || a.status != "408" || a.reset == nil || *a.reset != http2.ErrCodeNo {
			t.Errorf("got %+v", a)
		}
		p.must(p.framer.WriteData(1, false, []byte{0})) // the client may not know yet
		p.must(p.framer.WriteData(3, true, packed(t, question("www.example"))))
		p.send()
		r = p.replies()
		expect200(t, r, 3)
		if r.streams[1] != nil || p.stats.Slow.Load() != 1 || p.left().streams != 0 || p.err != nil {
			t.Errorf("%+v, %d slow", r.streams[1], p.stats.Slow.Load())
		}
		time.Sleep(time.Minute)
	})
}

// TestSessionLargeBodies: few are read at once, and they come whole through the windows.
func TestSessionLargeBodies(t *testing.T) {
	p := newPeer(t, intake.Config{Limits: intake.Limits{MaxLarge: 1}}, newActor()).greet()
	q := append(packed(t, question("www.example")), make([]byte, 65535)...)[:65535]
	p.post(1)
	p.post(3)
	for off := 0; off < len(q); off += 8000 {
		end := min(off+8000, len(q))
		p.must(p.framer.WriteDataPadded(1, end == len(q), q[off:end], make([]byte, 200)))
		if off == 0 {
			p.must(p.framer.WriteData(3, false, q[:8000]))
		}
		p.send()
	}
	r := p.replies()
	if a := r.streams[1]; a == nil || a.status != "400" && a.status != "200" { // octets after the message are for the handler to judge
		t.Errorf("got %+v, %v", a, p.err)
	}
	if a := r.streams[3]; a == nil || a.status != "503" || a.fields["retry-after"] == "" {
		t.Errorf("got %+v", a)
	}
	if p.res.in.Load().Large != 0 || r.windows < 2 {
		t.Errorf("%d large requests are left, %d windows were opened", p.res.in.Load().Large, r.windows)
	}
	p.post(5)
	p.must(p.framer.WriteData(5, false, q[:8000]))
	p.send()
	p.s.End()
	if p.res.in.Load().Large != 0 {
		t.Error("the end of the connection leaves a place taken")
	}
}

// TestSessionRapidReset (CVE-2023-44487): streams that are reset at once cost no more than any others, and whoever
// floods with them is cut.
func TestSessionRapidReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newActor()
		p := newPeer(t, intake.Config{}, a).greet()
		sent := 0
		for id := uint32(1); p.err == nil && sent < 5000; id += 2 {
			p.get(id, "slow.example")
			p.must(p.framer.WriteRSTStream(id, http2.ErrCodeCancel))
			p.send()
			if sent++; p.left().working > 64 || p.res.in.Load().Stream > 64 {
				t.Fatalf("%d goroutines", p.left().working)
			}
		}
		r := p.replies()
		if p.err == nil || r.goAway == nil || r.goAway.ErrCode != http2.ErrCodeEnhanceYourCalm || sent > 1500 {
			t.Errorf("after %d resets: %v, %+v", sent, p.err, r.goAway)
		}
		p.s.End()
		close(a.release)
		synctest.Wait()
		if p.left().under != 0 || p.res.in.Load().Stream != 0 {
			t.Errorf("%d are left", p.left().under)
		}
	})
}

// TestSessionFloods: frames that ask for nothing end the connection when there are too many.
func TestSessionFloods(t *testing.T) {
	for name, one := range map[string]func(p *peer, i int){
		"PING":          func(p *peer, i int) { p.must(p.framer.WritePing(false, [8]byte{})) },
		"SETTINGS":      func(p *peer, i int) { p.must(p.framer.WriteSettings()) },
		"empty DATA":    func(p *peer, i int) { p.must(p.framer.WriteData(1, false, nil)) },
		"short DATA":    func(p *peer, i int) { p.must(p.framer.WriteData(1, false, []byte{0})) },
		"PRIORITY":      func(p *peer, i int) { p.must(p.framer.WritePriority(1, http2.PriorityParam{})) },
		"WINDOW_UPDATE": func(p *peer, i int) { p.must(p.framer.WriteWindowUpdate(0, 1)) },
		"unknown":       func(p *peer, i int) { p.must(p.framer.WriteRawFrame(0x77, 0, 0, nil)) },
		"malformed":     func(p *peer, i int) { p.headers(uint32(2*i+3), true, ":method", "GET") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, intake.Config{}, newActor()).greet()
			p.post(1)
			for i := 0; i < 3000 && p.err == nil; i++ {
				one(p, i)
				p.send()
			}
			var ce *connError
			if !errors.As(p.err, &ce) || ce.code != codeEnhanceYourCalm {
				t.Error(p.err)
			}
		})
	}
}

// TestSessionManyPosts: clients may end each body with a frame of its own, and open windows for each answer, without
// end.
func TestSessionManyPosts(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	q := packed(t, question("a.example"))
	for id := uint32(1); id < 6000; id += 2 {
		p.post(id)
		p.must(p.framer.WriteData(id, false, q))
		p.must(p.framer.WriteData(id, true, nil))
		p.must(p.framer.WriteWindowUpdate(0, 100))
		p.must(p.framer.WriteWindowUpdate(id, 100))
		if p.send(); p.err != nil {
			t.Fatalf("stream %d: %v", id, p.err)
		}
		expect200(t, p.replies(), id)
	}
}

// TestSessionRefusesStreams: more requests that wait than SETTINGS allow are refused, and may be asked again.
func TestSessionRefusesStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newActor()
		p := newPeer(t, intake.Config{Limits: intake.Limits{MaxPipeline: 2, MaxStream: 3}}, a).greet()
		p.get(1, "slow.example")
		p.get(3, "slow.example")
		p.get(5, "slow.example")
		p.post(7)
		p.get(9, "www.example")
		p.send()
		r := p.replies()
		for _, id := range []uint32{5, 7} {
			if a := r.streams[id]; a == nil || a.reset == nil || *a.reset != http2.ErrCodeRefusedStream {
				t.Errorf("stream %d: %+v", id, a)
			}
		}
		expect200(t, r, 9)
		other := newPeer(t, intake.Config{}, a)
		other.s = newSession(p.res, other.conn)
		other.greet()
		other.get(1, "slow.example")
		other.get(3, "slow.example")
		other.send()
		if a := other.replies().streams[3]; a == nil || a.status != "503" {
			t.Errorf("the fourth request that waits: %+v", a)
		}
		close(a.release)
		synctest.Wait()
		expect200(t, p.replies(), 1)
		expect200(t, other.replies(), 1)
	})
}

// TestSessionEnd: the last stream is named, and what is under way is answered.
func TestSessionEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newActor()
		p := newPeer(t, intake.Config{}, a).greet()
		p.get(1, "slow.example")
		p.get(3, "slowbig.example")
		p.post(5)
		p.send()
		p.s.End()
		r := p.replies()
		if r.goAway == nil || r.goAway.LastStreamID != 5 || r.goAway.ErrCode != http2.ErrCodeNo {
			t.Fatalf("%+v", r.goAway)
		}
		if a := r.streams[5]; a == nil || a.reset == nil || *a.reset != http2.ErrCodeRefusedStream {
			t.Errorf("a request without its body, which can be asked again: %+v", a)
		}
		close(a.release)
		synctest.Wait()
		r = p.replies()
		expect200(t, r, 1)
		if len(r.streams[3].body) == 0 || p.left().under != 0 || p.left().streams != 0 {
			t.Errorf("%d under way, %d streams", p.left().under, p.left().streams)
		}
	})
}

package doh

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"dens/server/intake"
)

// expect200 checks that a stream was answered by a whole DNS message.
func expect200(t *testing.T, r *replies, id uint32) *answer {
	t.Helper()
	a := r.streams[id]
	if a == nil || a.status != "200" || !a.ended || a.fields["content-type"] != typeMessage || a.fields["date"] == "" {
		t.Fatalf("stream %d: %+v", id, a)
	}
	if n := a.fields["content-length"]; n != strconv.Itoa(len(a.body)) {
		t.Fatalf("stream %d: content-length %s of %d octets", id, n, len(a.body))
	}
	return a
}

// TestSessionBurst: what comes in one burst is answered in one, in whatever form it comes.
func TestSessionBurst(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	q := packed(t, question("www.example"))
	p.get(1, "www.example")
	p.post(3)
	p.must(p.framer.WriteData(3, true, q))
	p.post(5, "content-length", strconv.Itoa(len(q)))
	p.must(p.framer.WriteData(5, false, q[:3]))
	p.must(p.framer.WriteDataPadded(5, false, q[3:9], make([]byte, 50)))
	p.must(p.framer.WriteData(5, false, q[9:]))
	p.must(p.framer.WriteData(5, true, nil))
	p.headers(7, true, fieldsOf("GET", "/dns-query?name=www.example")...)
	p.headers(9, true, fieldsOf("HEAD", "/dns%2dquery?dns="+b64(q))...)
	p.headers(11, true, fieldsOf("OPTIONS", "/dns-query")...)
	p.post(13)
	p.must(p.framer.WriteData(13, false, q))
	p.headers(13, true, "x-checksum", "0")
	p.headers(15, false, fieldsOf("GET", "/dns-query?dns="+b64(q))...)
	p.must(p.framer.WriteData(15, true, nil))
	p.headers(17, true, fieldsOf("GET", "/dns-query?dns="+b64(q), "x-forwarded-for", "198.51.100.9, 203.0.113.8")...)
	p.must(p.framer.WritePing(false, [8]byte{1}))
	p.send()
	if p.err != nil {
		t.Fatal(p.err)
	}
	r := p.replies()
	if r.acks != 1 || r.pings != 1 {
		t.Errorf("%d acknowledgements of SETTINGS, %d of PING", r.acks, r.pings)
	}
	for _, id := range []uint32{1, 3, 5, 13, 15, 17} {
		a := expect200(t, r, id)
		want := "doh 192.0.2.77"
		if id == 17 {
			want = "doh 203.0.113.8"
		}
		if got := who(t, a.body); got != want {
			t.Errorf("stream %d: asked by %q, want %q", id, got, want)
		}
		if a.fields["cache-control"] != "max-age=120" || a.fields["access-control-allow-origin"] != "*" || a.fields["x-content-type-options"] != "nosniff" {
			t.Errorf("stream %d: %v", id, a.fields)
		}
	}
	if a := r.streams[7]; a.status != "200" || a.fields["content-type"] != typeJSON || a.fields["vary"] != "accept" || !bytes.HasPrefix(a.body, []byte("{")) {
		t.Errorf("JSON: %+v", a)
	}
	if a := r.streams[9]; a.status != "200" || len(a.body) > 0 || !a.ended || a.fields["content-length"] == "0" {
		t.Errorf("HEAD: %+v", a)
	}
	if a := r.streams[11]; a.status != "204" || !a.ended || a.fields["access-control-max-age"] == "" {
		t.Errorf("OPTIONS: %+v", a)
	}
	if p.left().streams > 0 || p.left().under != 0 {
		t.Errorf("%d streams and %d requests are left", p.left().streams, p.left().under)
	}
}

// TestSessionInPieces: octets may come one by one.
func TestSessionInPieces(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	p.get(1, "www.example")
	block := p.header(fieldsOf("POST", "/dns-query", "content-type", typeMessage)...)
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block[:5]}))
	p.must(p.framer.WriteContinuation(3, false, block[5:7]))
	p.must(p.framer.WriteContinuation(3, true, block[7:]))
	p.must(p.framer.WriteData(3, true, packed(t, question("www.example"))))
	all := bytes.Clone(p.in.Bytes())
	p.in.Reset()
	for _, b := range all {
		p.in.WriteByte(b)
		p.send()
	}
	if p.err != nil || p.in.Len() > 0 {
		t.Fatal(p.err, p.in.Len())
	}
	r := p.replies()
	expect200(t, r, 1)
	expect200(t, r, 3)
}

// TestSessionIgnores: frames of unknown types, priorities, and settings that mean nothing here.
func TestSessionIgnores(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet(
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: 1 << 20}, http2.Setting{ID: 0x99, Val: 7},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20}, http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	p.must(p.framer.WriteRawFrame(0x10, 0, 0, []byte("x")))
	p.must(p.framer.WritePriority(5, http2.PriorityParam{StreamDep: 3, Weight: 9}))
	p.must(p.framer.WriteGoAway(0, 0, nil))
	p.must(p.framer.WriteSettingsAck())
	p.get(7, "www.example")
	p.must(p.framer.WriteWindowUpdate(7, 9))
	p.must(p.framer.WriteRSTStream(7, http2.ErrCodeCancel))
	p.send()
	if p.err != nil {
		t.Fatal(p.err)
	}
	expect200(t, p.replies(), 7)
}

// TestSessionExpect: a client that waits for leave to send its body gets it, or an answer.
func TestSessionExpect(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	p.post(1, "expect", "100-continue")
	p.headers(3, false, fieldsOf("POST", "/other", "expect", "100-Continue")...)
	p.send()
	r := p.replies()
	if a := r.streams[3]; r.continues != 1 || a == nil || a.status != "404" || a.reset == nil || *a.reset != http2.ErrCodeNo {
		t.Fatalf("told to go on %d times; %+v", r.continues, a)
	}
	p.must(p.framer.WriteData(1, true, packed(t, question("www.example"))))
	p.send()
	expect200(t, p.replies(), 1)
}

// TestSessionHeaderBomb: a block that asks for the same long field again and again takes no memory for it.
func TestSessionHeaderBomb(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	p.headers(1, true, fieldsOf("GET", "/dns-query", "forwarded", strings.Repeat("x", 3000))...)
	p.send()
	p.replies()
	bomb := append(p.header(fieldsOf("GET", "/dns-query")...), bytes.Repeat([]byte{0x80 | 62}, 10000)...)
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: bomb, EndStream: true, EndHeaders: true}))
	p.send()
	if a := p.replies().streams[3]; a == nil || a.status != "431" {
		t.Errorf("got %+v, %v", a, p.err)
	}
	x := p.res.exchange()
	if n := cap(x.head.scratch); n > 2*maxHeader {
		t.Errorf("%d octets are kept", n)
	}
}

// TestSessionSmallTable: a client without a dynamic table is told that none is used (RFC 7541 section 4.2).
func TestSessionSmallTable(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	p.dec.SetAllowedMaxDynamicTableSize(0)
	p.get(1, "www.example")
	p.get(3, "www.example")
	p.send()
	if head := p.conn.written.Bytes(); !bytes.Contains(head, append(commonHead[:0:0], append([]byte{0x20}, commonHead...)...)) {
		t.Error("no update of the table's size")
	}
	r := p.replies()
	expect200(t, r, 1)
	expect200(t, r, 3)
}

// TestSessionLater: what has to wait comes later, in whatever order, and the connection is not idle meanwhile.
func TestSessionLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newActor()
		p := newPeer(t, intake.Config{}, a).greet()
		for id := uint32(1); id < 20; id += 2 {
			p.get(id, "slow.example")
		}
		p.get(21, "www.example")
		p.send()
		synctest.Wait()
		r := p.replies()
		if expect200(t, r, 21); len(r.streams) != 1 || p.left().under != 10 || p.res.in.Load().Stream != 10 {
			t.Fatalf("%d answered, %d under way", len(r.streams), p.left().under)
		}
		close(a.release)
		synctest.Wait()
		r = p.replies()
		for id := uint32(1); id < 20; id += 2 {
			expect200(t, r, id)
		}
		if p.left().under != 0 || p.res.in.Load().Stream != 0 || p.left().working != 0 || p.left().streams != 0 {
			t.Errorf("%d are left", p.left().under)
		}
	})
}

// TestSessionPanic: a handler that panics spoils one answer.
func TestSessionPanic(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor()).greet()
	p.get(1, "panic.example")
	p.get(3, "www.example")
	p.send()
	r := p.replies()
	expect200(t, r, 1)
	expect200(t, r, 3)
	if p.stats.Panics.Load() != 1 {
		t.Error("not counted")
	}
}

func TestSessionAllocates(t *testing.T) {
	p := newPeer(t, intake.Config{}, newActor())
	in, room := hits(p)
	got := testing.AllocsPerRun(100, func() { receive(t, p, in(), room) })
	if per := got / hitBurst; per > 0.5 { // the race detector has pools forget
		t.Errorf("%.2f allocations for each hit", per)
	}
}

// TestSessionFirstThings: SETTINGS come before a reply that was waited for, and so does leave to send the body, however
// soon that reply is made.
func TestSessionFirstThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, intake.Config{}, newActor()).greet()
		p.post(1, "expect", "100-continue")
		p.must(p.framer.WriteData(1, true, packed(t, question("late.example"))))
		var outs []byte
		for in := bytes.Clone(p.in.Bytes()); len(in) > 0; {
			n, out, err := p.s.Receive(in, nil)
			if p.must(err); n == 0 {
				break
			}
			in, outs = in[n:], append(outs, out...)
		}
		synctest.Wait() // the reply is written, and outs are not
		p.must(p.conn.Write(outs))
		framer := http2.NewFramer(nil, bytes.NewReader(p.conn.written.Bytes()))
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		var order []string
		for {
			f, err := framer.ReadFrame()
			if err != nil {
				break
			}
			if h, ok := f.(*http2.MetaHeadersFrame); ok {
				order = append(order, h.PseudoValue("status"))
			} else {
				order = append(order, f.Header().Type.String())
			}
		}
		if got := strings.Join(order, " "); got != "SETTINGS 100 200 DATA SETTINGS" {
			t.Errorf("came in the order %s", got)
		}
		if p.left() != (left{}) {
			t.Errorf("%+v are left", p.left())
		}
	})
}

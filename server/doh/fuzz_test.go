package doh

import (
	"bytes"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"dens/server/intake"
)

// FuzzParsers: what a header block, a query string or a list of proxies says is what others read in it.
func FuzzParsers(f *testing.F) {
	f.Add([]byte("dns=" + b64(packed(f, question("example.org")))))
	f.Add([]byte("dns=AAA=&ct=x"))
	f.Add([]byte("name=example.org&type=AAAA&do=1"))
	f.Add([]byte("dns=%0a;"))
	f.Add([]byte("for=192.0.2.43, for=\"[2001:db8:cafe::17]:4711\";proto=http;by=203.0.113.43"))
	f.Add([]byte("192.0.2.43, 2001:db8::1,unknown , 10.0.0.1:99"))
	p := newPeer(f, intake.Config{}, newActor())
	for _, fields := range [][]string{
		fieldsOf("GET", "/dns-query?dns=AAAB", "accept", typeMessage, "user-agent", "x/1"),
		fieldsOf("POST", "/dns-query", "content-type", typeMessage, "content-length", "33", "te", "trailers"),
		fieldsOf("GET", "/dns-query?dns=AAAB", "forwarded", "for=192.0.2.1", "x-forwarded-for", "a, b"),
	} {
		f.Add(p.header(fields...))
	}
	f.Add([]byte{0x3f, 0x20, 0x44, 0x01, 'a', 0x20, 0xbe})
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzHPACK(t, data)
		fuzzGet(t, string(data))
		fuzzForwarded(t, data)
	})
}

// fuzzHPACK decodes the data as two blocks of one connection, like x/net/http2/hpack.
func fuzzHPACK(t *testing.T, data []byte) {
	var theirs head
	theirs.reset()
	other := hpack.NewDecoder(tableSize, func(f hpack.HeaderField) {
		k := kindOf([]byte(f.Name))
		theirs.add(k, len(f.Name), []byte(f.Value), !k.allows([]byte(f.Value)))
	})
	var d decoder
	for _, block := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
		var ours head
		ours.reset()
		theirs.reset()
		err := d.decode(block, &ours)
		_, oerr := other.Write(block)
		if oerr == nil {
			oerr = other.Close()
		}
		if err != nil {
			if oerr == nil && !errors.Is(err, errInteger) && !errors.Is(err, errUpdate) {
				t.Fatalf("%x: %v, which others decode", block, err)
			}
			return
		}
		if oerr != nil {
			t.Fatalf("%x: others say %v", block, oerr)
		}
		if theirs.size > maxHeader || ours.size > maxHeader {
			return // what comes beyond the limit is not kept
		}
		theirs.scratch, ours.scratch = nil, nil
		if theirs.method != ours.method || !bytes.Equal(theirs.target, ours.target) || !bytes.Equal(theirs.accept, ours.accept) ||
			!bytes.Equal(theirs.contentType, ours.contentType) || theirs.length != ours.length || !bytes.Equal(theirs.forwardedFor, ours.forwardedFor) ||
			!bytes.Equal(theirs.forwarded, ours.forwarded) || theirs.size != ours.size || theirs.bad != ours.bad || theirs.seen != ours.seen || theirs.well() != ours.well() {
			t.Fatalf("%x: %+v, others read %+v", block, ours, theirs)
		}
		if d.size > tableSize || len(d.values) > 3*tableSize || len(d.entries) > tableSize/entryExtra {
			t.Fatalf("the table has %d octets, %d of values", d.size, len(d.values))
		}
	}
}

// fuzzGet: what is taken is what one gets by the letter of RFC 8484, and what is made by its letter is taken.
func fuzzGet(t *testing.T, raw string) {
	conf := &Config{JSON: codec{}}
	x := new(exchange)
	err := x.readGet(conf, &request{query: []byte(raw)})
	if err != nil && (err.status < 400 || err.status > 499 || x.q.Msg != nil) {
		t.Fatalf("error %v with %x", err, x.q.Msg)
	}
	if v, perr := url.ParseQuery(raw); err == nil && perr == nil && v.Has("dns") {
		// One form only, but for the padding and the bits that no octet holds.
		text := strings.TrimRight(v.Get("dns"), "=")
		if back := b64(x.q.Msg); len(back) != len(text) || len(back) > 0 && back[:len(back)-1] != text[:len(text)-1] {
			t.Fatalf("%q was read as %q", text, back)
		}
	}
	if len(raw) <= maxMessage {
		x := new(exchange)
		if err := x.readGet(conf, &request{query: []byte("dns=" + b64([]byte(raw)))}); err != nil || string(x.q.Msg) != raw {
			t.Fatalf("%x came back as %x, %v", raw, x.q.Msg, err)
		}
	}
}

// fuzzForwarded: whatever a client claims, what a proxy adds counts.
func fuzzForwarded(t *testing.T, claim []byte) {
	conf := &Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	client := netip.MustParseAddr("192.0.2.1")
	with := func(added string) []byte { return append(slices.Clone(claim), added...) }
	if h := conf.forwardedFor(with(", 192.0.2.1, 10.1.2.3")); h.client != client {
		t.Fatalf("X-Forwarded-For: %v", h.client)
	}
	h := conf.forwarded(with(", for=192.0.2.1;proto=https, for=10.1.2.3"))
	if h.client != client && !bytes.ContainsRune(claim, '"') { // a quote that is left open takes in what follows
		t.Fatalf("Forwarded: %v", h.client)
	}
	if got := conf.forwarded(claim); got.client.IsValid() && got.client.Zone() != "" {
		t.Fatalf("a zone in %v", got.client)
	}
}

// FuzzSession: whatever comes on a connection, what goes back is HTTP/2, no more than was asked for, and when the
// connection has ended nothing is left.
func FuzzSession(f *testing.F) {
	seed := func(build func(p *peer)) {
		p := newPeer(f, intake.Config{}, newActor()).greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 50})
		build(p)
		f.Add(p.in.Bytes()[len(preface):], uint16(40))
	}
	seed(func(p *peer) { p.get(1, "www.example"); p.get(3, "late.example") })
	seed(func(p *peer) { p.post(1); p.must(p.framer.WriteData(1, true, packed(f, question("big.example")))) })
	seed(func(p *peer) {
		p.get(1, "big.example")
		p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 7}))
		p.must(p.framer.WriteWindowUpdate(1, 1000))
		p.must(p.framer.WriteRSTStream(1, 0))
		p.must(p.framer.WritePing(false, [8]byte{}))
	})
	seed(func(p *peer) {
		p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.header(fieldsOf("GET", "/dns-query")...)}))
		p.must(p.framer.WriteContinuation(1, true, nil))
		p.post(3)
		p.headers(3, true, "a", "b")
	})
	f.Fuzz(func(t *testing.T, data []byte, piece uint16) {
		a := newActor()
		close(a.release)
		p := newPeer(t, intake.Config{Limits: intake.Limits{MaxPipeline: 4}}, a)
		p.dec.SetAllowedMaxDynamicTableSize(0)
		p.in.WriteString(preface)
		for data = data[:min(len(data), 1<<16)]; len(data) > 0 && p.err == nil && p.in.Len() < 18<<10; {
			n := min(len(data), int(piece)%5000+1)
			p.in.Write(data[:n])
			data = data[n:]
			p.send()
		}
		p.s.End()
		for end := time.Now().Add(30 * time.Second); p.left() != (left{}); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("left: %+v", p.left())
			}
		}
		if load := p.res.in.Load(); load != (intake.Load{}) {
			t.Fatalf("left: %+v", load)
		}
		checkFrames(t, p)
	})
}

// checkFrames checks what the Session has written: each stream has one header and ends once.
func checkFrames(t *testing.T, p *peer) {
	p.conn.mu.Lock()
	data := bytes.Clone(p.conn.written.Bytes())
	p.conn.mu.Unlock()
	ended := make(map[uint32]bool)
	head := make(map[uint32]bool)
	for len(data) > 0 {
		f, n, err := readFrame(data)
		if err != nil || n == 0 {
			t.Fatalf("no frame: %x", data)
		}
		data = data[n:]
		switch f.kind {
		case typeHeaders:
			fields, err := p.dec.DecodeFull(f.payload)
			if err != nil {
				t.Fatal(err)
			}
			if head[f.id] || ended[f.id] || !f.has(flagEndHeaders) {
				t.Fatalf("a second header on %d", f.id)
			}
			head[f.id] = fields[0].Value != "100"
		case typeData:
			if !head[f.id] || ended[f.id] {
				t.Fatalf("octets on %d", f.id)
			}
		case typeReset:
			ended[f.id] = true
			continue
		default:
			continue
		}
		ended[f.id] = ended[f.id] || f.has(flagEndStream)
	}
}

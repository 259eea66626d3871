package doh

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"dens/internal/wire"
	"dens/server/intake"
)

// actor answers by the first label of the question: silent has no reply, slow waits, slowbig waits for a long reply,
// late is answered by Miss, and all others are at hand; big is long. The text in each says who asked.
type actor struct {
	release chan struct{} // closed to let slow ones go on
	slow    chan string   // gets the name of each slow question
}

func newActor() *actor { return &actor{release: make(chan struct{}), slow: make(chan string, 10000)} }

func label(q *wire.Query) string {
	name := q.Name(q.Msg)
	return string(name[1 : 1+name[0]])
}

func (a *actor) Hit(q *wire.Query, buf []byte) ([]byte, bool) {
	switch label(q) {
	case "slow", "slowbig", "late":
		return buf[:0], false
	case "panic":
		panic("the actor was asked to")
	}
	return a.reply(q, buf), true
}

func (a *actor) Miss(ctx context.Context, q *wire.Query, buf []byte) []byte {
	if l := label(q); l != "late" {
		a.slow <- l
		select {
		case <-a.release:
		case <-ctx.Done():
		}
	}
	return a.reply(q, buf)
}

func (a *actor) reply(query *wire.Query, buf []byte) []byte {
	var q dns.Msg
	if err := q.Unpack(query.Msg); err != nil || len(q.Question) != 1 || label(query) == "silent" {
		return buf[:0]
	}
	m := new(dns.Msg).SetReply(&q)
	add := func(format string, args ...any) {
		rr, err := dns.NewRR(q.Question[0].Name + " " + fmt.Sprintf(format, args...))
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	add("300 IN A 192.0.2.1")
	add("120 IN TXT \"%s %s\"", query.From.Protocol, query.From.Addr.Addr())
	if strings.HasSuffix(label(query), "big") {
		for i := range 830 {
			add("60 IN TXT \"%04d %s\"", i, strings.Repeat("x", 60))
		}
	}
	m.Compress = true
	out, err := m.PackBuffer(buf[:cap(buf)])
	if err != nil {
		panic(err)
	}
	return out
}

// codec is a JSONCodec on the DNS library.
type codec struct{}

func (codec) Request(v url.Values) ([]byte, error) {
	name := v.Get("name")
	if name == "panic" {
		panic("the codec cannot do this either")
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return nil, errors.New("name is no domain name")
	}
	return question(name).Pack()
}

func (codec) Reply(b []byte) ([]byte, error) {
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		return nil, err
	}
	if strings.HasPrefix(m.Question[0].Name, "odd.") {
		panic("the codec cannot do this")
	}
	return json.Marshal(map[string]any{"Status": m.Rcode, "Answers": len(m.Answer)})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// question has the ID 0, so that it is the same each time (RFC 8484 section 4.1).
func question(name string) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.Id = 0
	return m
}

func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// who is the text in which the actor says who asked.
func who(t testing.TB, reply []byte) string {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		t.Fatal(err)
	}
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			return txt.Txt[0]
		}
	}
	t.Fatalf("no text in %v", m)
	return ""
}

// wireConn is a Conn that keeps what is written.
type wireConn struct {
	mu      sync.Mutex
	written bytes.Buffer
	under   int
}

func (c *wireConn) Write(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written.Write(p)
	return nil
}

func (c *wireConn) Begin(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under += n
}

func (c *wireConn) End(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under -= n
}

func (c *wireConn) Cause() error { return os.ErrDeadlineExceeded }

func (c *wireConn) Peer() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.77:4711") }

// peer is a client of one Session, whose bytes take no network.
type peer struct {
	t      testing.TB
	conn   *wireConn
	s      *Session
	in     bytes.Buffer
	framer *http2.Framer // writes to in
	enc    *hpack.Encoder
	block  bytes.Buffer
	dec    *hpack.Decoder
	err    error
	stats  *intake.Stats
	res    *Resource
}

func newPeer(t testing.TB, conf intake.Config, a *actor, guards ...intake.Guard) *peer {
	t.Helper()
	if conf.Stats == nil {
		conf.Stats = new(intake.Stats)
	}
	in := intake.New(conf, a, guards...)
	t.Cleanup(in.Close)
	p := &peer{t: t, conn: new(wireConn), dec: hpack.NewDecoder(4096, nil), stats: conf.Stats}
	p.res = New(in, Config{JSON: codec{}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.77/32")}})
	p.s = newSession(p.res, p.conn)
	p.framer = http2.NewFramer(&p.in, nil)
	p.framer.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.block)
	return p
}

// greet does what every client does first.
func (p *peer) greet(settings ...http2.Setting) *peer {
	p.in.WriteString(preface)
	p.must(p.framer.WriteSettings(settings...))
	return p
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// headers writes a request's header: pairs of name and value.
func (p *peer) header(fields ...string) []byte {
	p.t.Helper()
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.must(p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(p.block.Bytes())
}

func (p *peer) headers(id uint32, end bool, fields ...string) {
	p.t.Helper()
	p.must(p.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: p.header(fields...), EndStream: end, EndHeaders: true,
	}))
}

func fieldsOf(method, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", "dns.example", ":path", path}, more...)
}

func (p *peer) get(id uint32, name string) {
	p.t.Helper()
	p.headers(id, true, fieldsOf("GET", "/dns-query?dns="+b64(packed(p.t, question(name))), "accept", typeMessage)...)
}

func (p *peer) post(id uint32, more ...string) {
	p.t.Helper()
	p.headers(id, false, fieldsOf("POST", "/dns-query", append([]string{"content-type", typeMessage}, more...)...)...)
}

// send has the Session receive what was written, as stream.Conn would.
func (p *peer) send() {
	p.t.Helper()
	in := bytes.Clone(p.in.Bytes())
	p.in.Reset()
	for len(in) > 0 && p.err == nil {
		room := make([]byte, 0, 18<<10)
		n, out, err := p.s.Receive(in[:min(len(in), 18<<10)], room)
		if p.err = err; len(out) > 0 {
			p.must(p.conn.Write(out))
		}
		if n > len(in) {
			p.t.Fatalf("%d of %d octets were consumed", n, len(in))
		}
		if in = in[n:]; n == 0 {
			break
		}
	}
	p.in.Write(in)
}

// answer is what came on one stream.
type answer struct {
	status string
	fields map[string]string
	body   []byte
	ended  bool
	reset  *http2.ErrCode
}

// replies is what the Session has written since it was asked last.
type replies struct {
	streams map[uint32]*answer
	goAway  *http2.GoAwayFrame
	pings   int
	acks    int
	windows int
	// continues is how often a client was told to go on.
	continues int
}

func (p *peer) replies() *replies {
	p.t.Helper()
	p.conn.mu.Lock()
	data := bytes.Clone(p.conn.written.Bytes())
	p.conn.written.Reset()
	p.conn.mu.Unlock()
	out := &replies{streams: make(map[uint32]*answer)}
	framer := http2.NewFramer(nil, bytes.NewReader(data))
	framer.ReadMetaHeaders = p.dec
	at := func(id uint32) *answer {
		if out.streams[id] == nil {
			out.streams[id] = &answer{fields: make(map[string]string)}
		}
		return out.streams[id]
	}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			if framer.ErrorDetail() != nil || err.Error() != "EOF" {
				p.t.Fatalf("what was written is no HTTP/2: %v, %v", err, framer.ErrorDetail())
			}
			return out
		}
		a := (*answer)(nil)
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			a = at(f.StreamID)
			if f.PseudoValue("status") == "100" {
				out.continues++
				continue
			}
			a.status, a.ended = f.PseudoValue("status"), f.StreamEnded()
			for _, h := range f.RegularFields() {
				a.fields[h.Name] = h.Value
			}
		case *http2.DataFrame:
			a = at(f.StreamID)
			if a.status == "" && len(a.body) == 0 {
				a.status = "more"
			}
			a.body = append(a.body, f.Data()...)
			a.ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			code := f.ErrCode
			at(f.StreamID).reset = &code
		case *http2.GoAwayFrame:
			c := *f
			out.goAway = &c
		case *http2.PingFrame:
			out.pings++
		case *http2.SettingsFrame:
			if f.IsAck() {
				out.acks++
			}
		case *http2.WindowUpdateFrame:
			out.windows++
		}
	}
}

// left is what a Session still has.
type left struct{ streams, queued, working, under int }

func (p *peer) left() left {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.conn.mu.Lock()
	defer p.conn.mu.Unlock()
	return left{len(p.s.streams), p.s.queued, p.s.working, p.conn.under}
}

package intake

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func secret(t testing.TB, text string) CookieSecret {
	return CookieSecret(unhex(t, text))
}

// clocked are Cookies whose requests all come at one time.
type clocked struct {
	*Cookies
	now *int64
}

func (c clocked) judge(q *wire.Query) {
	q.Start = time.Unix(*c.now, 0)
	c.Cookies.judge(q)
}

func cookiesAt(now *int64, secrets ...CookieSecret) clocked {
	return clocked{NewCookies(secrets...), now}
}

// withCookie is a request with the COOKIE option, in hexadecimal digits; "" is none.
func withCookie(t testing.TB, cookie string) []byte {
	t.Helper()
	q := question("example.com")
	q.SetEdns0(1232, false)
	if cookie != "" {
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie}}
	}
	return packed(t, q)
}

const (
	secretA, secretOld, secretNew = "e5e973e5a6b2a43f48e7dc849e37bfcf", "dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"
	clientA, clientV6             = "2464c4abcf10c957", "22681ab97d52c298"
)

// TestCookieVectors has those of RFC 9018 appendix A. The cookie of A.3 is nearly two hours old, which is too
// old by section 4.3: it is bad then, but was valid earlier, with its reserved octets.
func TestCookieVectors(t *testing.T) {
	tests := []struct {
		story, client, sent string
		at                  int64
		secrets             []CookieSecret
		state               wire.CookieState
		reply               string
	}{
		{"A.1 a new one", "198.51.100.100", clientA, 1559731985, []CookieSecret{secret(t, secretA)}, wire.CookieClient,
			clientA + "010000005cf79f111f8130c3eee29480"},
		{"A.2 renewed after 40 minutes", "198.51.100.100", clientA + "010000005cf79f111f8130c3eee29480", 1559734385,
			[]CookieSecret{secret(t, secretA)}, wire.CookieValid, clientA + "010000005cf7a871d4a564a1442aca77"},
		{"A.3 another client's", "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559734700,
			[]CookieSecret{secret(t, secretA)}, wire.CookieBad, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
		{"A.3 while it is valid", "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985 + 60,
			[]CookieSecret{secret(t, secretA)}, wire.CookieValid, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"},
		{"A.4 the secret before", "2001:db8:220:1:59de:d0f4:8769:82b8", clientV6 + "010000005cf7c57926556bd0934c72f8", 1559741961,
			[]CookieSecret{secret(t, secretNew), secret(t, secretOld)}, wire.CookieValid, clientV6 + "010000005cf7c609a6bb79d16625507a"},
		{"A.4 the secret before, forgotten", "2001:db8:220:1:59de:d0f4:8769:82b8", clientV6 + "010000005cf7c57926556bd0934c72f8", 1559741961,
			[]CookieSecret{secret(t, secretNew)}, wire.CookieBad, clientV6 + "010000005cf7c609a6bb79d16625507a"},
		{"the mapped form of A.1", "::ffff:198.51.100.100", clientA, 1559731985, []CookieSecret{secret(t, secretA)}, wire.CookieClient,
			clientA + "010000005cf79f111f8130c3eee29480"},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			got := judge(cookiesAt(&tt.at, tt.secrets...), withCookie(t, tt.sent), netip.MustParseAddr(tt.client))
			if got.State != tt.state || hex.EncodeToString(got.Value[:]) != tt.reply {
				t.Errorf("%s %x, want %s %s", got.State, got.Value, tt.state, tt.reply)
			}
		})
	}
}

// TestCookieAges follows one cookie through its life, also where the time in 32 bits wraps.
func TestCookieAges(t *testing.T) {
	client := netip.MustParseAddr("192.0.2.1")
	for _, start := range []int64{1_800_000_000, 1<<32 - 600, 1<<31 - 600} {
		now := start
		c := cookiesAt(&now, secret(t, secretA))
		first := judge(c, withCookie(t, clientA), client)
		sent := withCookie(t, hex.EncodeToString(first.Value[:]))
		for _, tt := range []struct {
			age   int64
			state wire.CookieState
			kept  bool
		}{
			{0, wire.CookieValid, true}, {1800, wire.CookieValid, true}, {1801, wire.CookieValid, false}, {3600, wire.CookieValid, false},
			{3601, wire.CookieBad, false}, {-300, wire.CookieValid, true}, {-301, wire.CookieBad, false}, {1 << 31, wire.CookieBad, false},
		} {
			now = start + tt.age
			got := judge(c, sent, client)
			if got.State != tt.state || (got.Value == first.Value) != tt.kept {
				t.Errorf("%d s after %d: %s, kept %v; want %s, %v", tt.age, start, got.State, got.Value == first.Value, tt.state, tt.kept)
			}
			if at := binary.BigEndian.Uint32(got.Value[12:]); !tt.kept && at != uint32(now) {
				t.Errorf("%d s after %d: the new cookie is of %d", tt.age, start, at)
			}
		}
	}
}

// TestCookieOfOthers: whatever differs, the cookie is bad, and the one in the reply is good.
func TestCookieOfOthers(t *testing.T) {
	now := int64(1_800_000_000)
	c, client := cookiesAt(&now), netip.MustParseAddr("192.0.2.1")
	good := judge(c, withCookie(t, clientA), client)
	check := func(story string, cookie []byte, from netip.Addr) {
		t.Helper()
		got := judge(c, withCookie(t, hex.EncodeToString(cookie)), from)
		if got.State != wire.CookieBad || !bytes.Equal(got.Value[:8], cookie[:8]) {
			t.Errorf("%s: %s %x", story, got.State, got.Value)
		}
		if again := judge(c, withCookie(t, hex.EncodeToString(got.Value[:])), from); again.State != wire.CookieValid || again.Value != got.Value {
			t.Errorf("%s: the new one is %s", story, again.State)
		}
	}
	for bit := range len(good.Value) * 8 {
		changed := good.Value
		changed[bit/8] ^= 1 << (bit % 8)
		check("a bit changed", changed[:], client)
	}
	check("another client", good.Value[:], netip.MustParseAddr("192.0.2.2"))
	check("an IPv6 client", good.Value[:], netip.MustParseAddr("2001:db8::1"))
	check("shorter", good.Value[:16], client)
	check("longer", append(good.Value[:], 0), client)
	check("longest", append(good.Value[:], make([]byte, 16)...), client)
	if other := judge(NewCookies(), withCookie(t, hex.EncodeToString(good.Value[:])), client); other.State != wire.CookieBad {
		t.Errorf("at another server %s", other.State)
	}
}

// TestCookieRotation: a secret that was drawn here goes after a day, and what it has made stays valid.
func TestCookieRotation(t *testing.T) {
	now := time.Now().Unix()
	c, client := cookiesAt(&now), netip.MustParseAddr("192.0.2.1")
	drawn := c.keys.Load()
	now += int64(cookieRotation/time.Second) - 60
	before := judge(c, withCookie(t, clientA), client)
	if c.keys.Load() != drawn {
		t.Fatal("the secret was replaced too early")
	}
	now += 120
	var group sync.WaitGroup
	for range 8 { // all at once: there is one new secret, and all take it
		group.Go(func() {
			if got := judge(c, withCookie(t, hex.EncodeToString(before.Value[:])), client); got.State != wire.CookieValid || got.Value == before.Value {
				t.Errorf("after the rotation %s, the same: %v", got.State, got.Value == before.Value)
			}
		})
	}
	group.Wait()
	if keys := c.keys.Load(); len(keys.list) != 2 || keys.list[1] != drawn.list[0] || keys.list[0] == drawn.list[0] {
		t.Errorf("%d secrets after the rotation", len(keys.list))
	}
	shared := cookiesAt(&now, secret(t, secretA))
	kept := shared.keys.Load()
	now += 1e9
	judge(shared, withCookie(t, clientA), client)
	if shared.keys.Load() != kept {
		t.Error("a secret from the configuration was replaced")
	}
}

// TestCookiesThroughIntake: the Handler learns of the cookie, a panic's reply has it, and all are counted.
func TestCookiesThroughIntake(t *testing.T) {
	var seen wire.Cookie
	h := handlerFunc(func(q *wire.Query, buf []byte) []byte {
		seen = q.From.Cookie
		if seen.State == wire.CookieValid {
			panic("on purpose")
		}
		return empty(q, buf)
	})
	stats := new(Stats)
	s := New(Config{Cookies: NewCookies(), Stats: stats}, h)
	from := peer(wire.UDP, "192.0.2.1")
	take(s, withCookie(t, ""), from)
	if seen.State != wire.CookieNone {
		t.Errorf("without a cookie: %s", seen.State)
	}
	first := cookieOf(t, take(s, withCookie(t, clientA), from))
	if seen.State != wire.CookieClient || len(first) != 48 || first[:16] != clientA {
		t.Fatalf("a client cookie: %s, %s", seen.State, first)
	}
	reply := take(s, withCookie(t, first), from)
	if got := cookieOf(t, reply); seen.State != wire.CookieValid || got != first || wire.Rcode(reply) != wire.RcodeServerFailure {
		t.Errorf("a valid cookie, and a panic: %s, %s, want %s", seen.State, got, first)
	}
	take(s, withCookie(t, first), peer(wire.UDP, "192.0.2.2"))
	if seen.State != wire.CookieBad {
		t.Errorf("another's cookie: %s", seen.State)
	}
	for state := wire.CookieClient; state <= wire.CookieBad; state++ {
		if n := stats.Cookies[state].Load(); n != 1 {
			t.Errorf("%d requests with cookie %s, want 1", n, state)
		}
	}
	off := New(Config{}, h)
	if got := cookieOf(t, take(off, withCookie(t, clientA), from)); got != "" {
		t.Errorf("without Cookies %s", got)
	}
}

// cookieOf is the value of a reply's COOKIE option.
func cookieOf(t testing.TB, reply []byte) string {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("%x: %v", reply, err)
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
	}
	return ""
}

// TestRateLimitCookies: a network over its rate. Who sends a client cookie is told the right one, up to a
// bound, and who has that one is not held to the network's rate but to a higher one of its own.
func TestRateLimitCookies(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 10, Burst: 2, Slip: 2}, new(Stats))
	now := int64(1)
	take := func(addr string, state wire.CookieState, n int) (out string) {
		for range n {
			out += string("oCSd"[r.take(netip.MustParseAddr(addr), state, now)])
		}
		return out
	}
	for _, tt := range []struct {
		story, addr string
		state       wire.CookieState
		want        string
	}{
		{"without cookies", "192.0.2.1", wire.CookieNone, "oodSdS"},
		{"a client cookie in the same network", "192.0.2.2", wire.CookieClient, "CCCCCCCCCC"},
		{"a bad one", "192.0.2.2", wire.CookieBad, "CCCCCCCCCCdSd"},
		{"a proven client", "192.0.2.2", wire.CookieValid, "oooooooooooooooooooodSd"},
		{"another one", "192.0.2.3", wire.CookieValid, "oooo"},
		{"without cookies again", "192.0.2.2", wire.CookieNone, "Sd"},
		{"proven by IPv6", "2001:db8::1", wire.CookieValid, "oooooooooooooooooooo"},
		{"proven in the same /64", "2001:db8::2", wire.CookieValid, "d"},
		{"proven in another /64", "2001:db8:0:1::1", wire.CookieValid, "o"},
	} {
		if got := take(tt.addr, tt.state, len(tt.want)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.story, got, tt.want)
		}
	}
	now += int64(100 * time.Millisecond)
	if got := take("192.0.2.2", wire.CookieValid, 11); got != "ooooooooooS" {
		t.Errorf("proven, a tenth of a second later: %s", got)
	}
	if got := take("192.0.2.2", wire.CookieClient, 12); got != "oCCCCCCCCCCS" {
		t.Errorf("a client cookie, a tenth of a second later: %s", got)
	}
}

// TestRateLimitCookieReplies: BADCOOKIE and TC come with the cookie, and are counted.
func TestRateLimitCookieReplies(t *testing.T) {
	stats := new(Stats)
	s := New(Config{Cookies: NewCookies(), Stats: stats}, handlerFunc(empty), NewRateLimit(RateConfig{Rate: 0.001, Burst: 1, Slip: 1}, stats))
	from := peer(wire.UDP, "192.0.2.1")
	ask := func(cookie string) (m dns.Msg, got string) {
		reply := take(s, withCookie(t, cookie), from)
		if err := m.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		return m, cookieOf(t, reply)
	}
	ask("")
	m, cookie := ask(clientA)
	if m.Rcode != dns.RcodeBadCookie || len(cookie) != 48 || m.Len() != len(withCookie(t, clientA))+16 {
		t.Fatalf("over the rate: %v", &m)
	}
	if m, _ := ask(""); !m.Truncated || m.Rcode != dns.RcodeSuccess {
		t.Errorf("over the rate without a cookie: %v", &m)
	}
	if reply := take(s, withCookie(t, cookie), from); len(reply) == 0 || reply[3]&15 != 0 || reply[2]&2 != 0 {
		t.Errorf("with the cookie: %x", reply)
	}
	for range 2 * provenFactor {
		m, cookie = ask(clientA)
	}
	if !m.Truncated || m.Rcode != dns.RcodeSuccess || len(cookie) != 48 {
		t.Errorf("far over the rate: %v", &m)
	}
	if got := stats.RateCookies.Load(); got != provenFactor {
		t.Errorf("%d got BADCOOKIE, want %d", got, provenFactor)
	}
}

func TestCookiesAllocateNothing(t *testing.T) {
	c, client := NewCookies(), netip.MustParseAddr("2001:db8::1")
	first := judge(c, withCookie(t, clientA), client)
	for _, cookie := range []string{"", clientA, hex.EncodeToString(first.Value[:])} {
		q := query(withCookie(t, cookie), wire.Peer{Addr: netip.AddrPortFrom(client, 53)})
		if n := testing.AllocsPerRun(1000, func() { c.judge(q) }); n != 0 {
			t.Errorf("cookie %q: %v allocations", cookie, n)
		}
	}
}

// FuzzCookies sends any option to one server, and holds what comes of it to what the specification says.
func FuzzCookies(f *testing.F) {
	now := int64(1_800_000_000)
	c, client := cookiesAt(&now, secret(f, secretA)), netip.MustParseAddr("192.0.2.1")
	good := judge(c, withCookie(f, clientA), client)
	for _, seed := range [][]byte{{}, unhex(f, clientA), good.Value[:], good.Value[:23], append(good.Value[:], make([]byte, 16)...)} {
		f.Add(seed, int64(0))
	}
	f.Add(good.Value[:], int64(3601))
	plain := withCookie(f, "")
	f.Fuzz(func(t *testing.T, cookie []byte, passed int64) {
		if len(cookie) > 1000 {
			return
		}
		now = 1_800_000_000 + passed%(1<<31)
		req := binary.BigEndian.AppendUint16(bytes.Clone(plain[:len(plain)-2]), uint16(4+len(cookie)))
		req = binary.BigEndian.AppendUint16(req, wire.OptionCookie)
		req = append(binary.BigEndian.AppendUint16(req, uint16(len(cookie))), cookie...)
		r, got := wire.Peek(req), judge(c, req, client)
		formed := len(cookie) == 8 || len(cookie) >= 16 && len(cookie) <= 40
		switch {
		case formed != (r.Kind == wire.Plain), !formed && r.Rcode != wire.RcodeFormatError:
			t.Fatalf("%d octets: kind %d", len(cookie), r.Kind)
		case formed == (got.State == wire.CookieNone), formed && !bytes.Equal(got.Value[:8], cookie[:8]):
			t.Fatalf("%d octets: %s %x", len(cookie), got.State, got.Value)
		case (len(cookie) == 8) != (got.State == wire.CookieClient):
			t.Fatalf("%d octets: %s", len(cookie), got.State)
		}
		if !formed {
			return
		}
		if again := judge(c, withCookie(t, hex.EncodeToString(got.Value[:])), client); again.State != wire.CookieValid || again.Value != got.Value {
			t.Fatalf("the cookie %x of the reply is %s", got.Value, again.State)
		}
		if other := judge(c, req, netip.MustParseAddr("192.0.2.2")); other.State == wire.CookieValid {
			t.Fatal("valid for another client")
		}
	})
}

func BenchmarkCookies(b *testing.B) {
	c, client := NewCookies(), netip.MustParseAddr("192.0.2.1")
	first := judge(c, withCookie(b, clientA), client)
	for name, cookie := range map[string]string{"none": "", "client": clientA, "valid": hex.EncodeToString(first.Value[:])} {
		q := query(withCookie(b, cookie), wire.Peer{Addr: netip.AddrPortFrom(client, 53)})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.judge(q)
			}
		})
	}
}

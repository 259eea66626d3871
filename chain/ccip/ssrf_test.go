package ccip

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"dens/internal/dial"
)

// names resolves as its table says and counts the look-ups of each.
func names(table map[string][]string) (func(context.Context, string) ([]netip.Addr, error), *atomic.Int32) {
	var n atomic.Int32
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		i := int(n.Add(1)) - 1
		var out []netip.Addr
		if list := table[host]; len(list) > 0 {
			out = append(out, netip.MustParseAddr(list[min(i, len(list)-1)]))
		}
		return out, nil
	}, &n
}

// TestPrivateAddressesAreNotReached counts the connections that a server on loopback gets.
func TestPrivateAddressesAreNotReached(t *testing.T) {
	var reached atomic.Int32
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	lookup, _ := names(map[string][]string{
		"loop.example": {"127.0.0.1"}, "loop6.example": {"::1"}, "lan.example": {"192.168.0.1"}, "meta.example": {"169.254.169.254"}, "localhost": {"127.0.0.1"},
		"mapped.example": {"::ffff:127.0.0.1"}, "nat64.example": {"64:ff9b::7f00:1"},
	})
	cfg := Config{AllowHTTP: true, AllowPrivate: true, Dial: dial.New(dial.Config{Lookup: lookup, Allow: dial.Public}).DialContext}
	for _, host := range []string{"127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "[::]", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
		"[fd00:ec2::254]", "100.64.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost",
		"loop.example", "loop6.example", "lan.example", "meta.example", "mapped.example", "nat64.example"} {
		for _, scheme := range []string{"http", "https"} {
			out := ask(t, cfg, step("q", scheme+"://"+host+":"+port+"/{data}"))
			if out.Err == nil {
				t.Errorf("%s://%s: got %q", scheme, host, out.Data)
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("loopback was reached %d times", n)
	}
}

func TestSchemes(t *testing.T) {
	dialed := 0
	cfg := Config{Dial: func(context.Context, string, string) (net.Conn, error) {
		dialed++
		return nil, net.ErrClosed
	}}
	for _, u := range []string{"http://gw.example/{data}", "HTTP://gw.example/{data}", "file:///etc/passwd", "data:application/json,{\"data\":\"0x12\"}", "ftp://gw.example/", "ws://gw.example/",
		"unix:///run/x", "//gw.example/", "gopher://gw.example/", "X-BATCH-GATEWAY:true", "x-batch-gateway:false", "https:gw.example", "https:///x", "https://user@gw.example/", "https://gw.example%00/"} {
		if out := ask(t, cfg, step("q", u)); out.Err == nil || dialed != 0 {
			t.Errorf("%s: %v, dialed %d times", u, out.Err, dialed)
		}
	}
	if out := ask(t, cfg, step("q", "https://gw.example/{data}")); out.Err == nil || dialed != 1 {
		t.Errorf("https was not dialed")
	}
}

// TestRedirects starts at a gateway that is allowed, and sends dens elsewhere.
func TestRedirects(t *testing.T) {
	var inside atomic.Int32
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		reply(w, "secret")
	}))
	defer private.Close()
	var hops atomic.Int32
	public := httptest.NewServer(nil)
	public.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/name":
			http.Redirect(w, r, "http://inside.example:"+portOf(t, private)+"/", http.StatusFound)
		case "/literal":
			http.Redirect(w, r, private.URL, http.StatusTemporaryRedirect)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/loop":
			hops.Add(1)
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/broken":
			w.Header().Set("Location", "http://%zz/KEY")
			w.WriteHeader(http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect)
		case "/ok":
			reply(w, r.Method+r.Referer())
		}
	})
	defer public.Close()
	// The address policy allows one port's address only by the name that it is asked for.
	lookup, _ := names(map[string][]string{"gw.example": {"127.0.0.2"}, "inside.example": {"127.0.0.1"}})
	d := dial.New(dial.Config{Lookup: lookup, Allow: func(a netip.Addr) error {
		if a == netip.MustParseAddr("127.0.0.2") {
			return nil
		}
		return dial.Public(a)
	}})
	cfg := Config{AllowHTTP: true, AllowPrivate: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "gw.example:80" {
			return open()(ctx, network, "127.0.0.1:"+portOf(t, public)) // stands for a server out on the internet
		}
		return d.DialContext(ctx, network, address)
	}}
	for _, path := range []string{"name", "literal", "file", "loop", "broken"} {
		out := ask(t, cfg, step("q", "http://gw.example/"+path))
		if out.Err == nil || !strings.Contains(out.Err.Error(), "gateway gw.example") {
			t.Errorf("%s: got %q, %v", path, out.Data, out.Err)
		}
	}
	if inside.Load() != 0 || hops.Load() != 1+maxRedirects {
		t.Errorf("the private server was reached %d times, the loop went %d hops", inside.Load(), hops.Load())
	}
	if out := ask(t, cfg, step("q", "http://gw.example/once")); string(out.Data) != "POST" {
		t.Errorf("a harmless redirect: %q, %v", out.Data, out.Err)
	}
	// Without AllowHTTP a redirect must not lead from https to http.
	sealed := httptest.NewTLSServer(http.RedirectHandler("http://gw.example/ok", http.StatusFound))
	defer sealed.Close()
	strict := Config{AllowPrivate: true, Dial: open(), TLS: sealed.Client().Transport.(*http.Transport).TLSClientConfig}
	if out := ask(t, strict, step("q", "https://example.com:"+portOf(t, sealed)+"/")); out.Err == nil || !strings.Contains(out.Err.Error(), "not https") {
		t.Errorf("to http: %q, %v", out.Data, out.Err)
	}
}

// TestRebinding has a name that is public when it is looked at and private a moment later.
func TestRebinding(t *testing.T) {
	var inside atomic.Int32
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		reply(w, "secret")
	}))
	defer private.Close()
	// 127.0.0.3 stands for a public address: nobody listens there, and the policy below allows it.
	lookup, n := names(map[string][]string{"rebind.example": {"127.0.0.3", "127.0.0.1"}})
	cfg := Config{AllowHTTP: true, AllowPrivate: true, Dial: dial.New(dial.Config{Lookup: lookup, Allow: func(a netip.Addr) error {
		if a == netip.MustParseAddr("127.0.0.3") {
			return nil
		}
		return dial.Public(a)
	}}).DialContext}
	u := "http://rebind.example:" + portOf(t, private) + "/{data}"
	if out := ask(t, cfg, step("q", u, u)); out.Err == nil {
		t.Errorf("got %q", out.Data)
	}
	if inside.Load() != 0 || n.Load() != 2 {
		t.Errorf("the private server was reached %d times after %d look-ups", inside.Load(), n.Load())
	}
}

// TestSecondLock has a dialer without an address policy.
func TestSecondLock(t *testing.T) {
	g := newGateway(t, answers)
	out := ask(t, Config{AllowHTTP: true}, step("q", g.get("ok"), "http://gw.example:"+portOf(t, g.Server)+"/"))
	if out.Err == nil || !errors.Is(out.Err, errPrivate) || len(g.log()) != 0 {
		t.Errorf("got %q, %v; the gateway saw %q", out.Data, out.Err, g.log())
	}
	for address, want := range map[string]bool{"1.1.1.1:443": true, "[2606:4700::1]:443": true, "10.0.0.1:443": false, "[::ffff:10.0.0.1]:443": false,
		"[::1]:443": false, "169.254.169.254:80": false, "[fe80::1%eth0]:443": false, "[fd00::1]:443": false, "0.0.0.0:80": false} {
		if a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)); isPublic(a) != want {
			t.Errorf("isPublic(%s) = %v", a, !want)
		}
	}
	if isPublic(&net.UnixAddr{Name: "/run/x", Net: "unix"}) {
		t.Error("a Unix socket is public")
	}
}

func TestWithoutDialerNothingIsReached(t *testing.T) {
	g := newGateway(t, answers)
	c := New(&fakeChain{}, Config{AllowHTTP: true, AllowPrivate: true})
	defer c.Close()
	f := &fetcher{caller: c, budget: newBudget(), slots: make(chan struct{}, 1)}
	if data, _, err := f.lookup(t.Context(), request{urls: []string{g.get("ok")}}, 0); err == nil {
		t.Errorf("got %q", data)
	}
}

package beacon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/internal/demo/consensus"
)

// TestSecrets: keys in a URL reach the endpoint, and nobody else.
func TestSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
	const user, password, path, query = "tenant4711", "pa55w0rd", "path-key-123", "query+key=456"
	var mu sync.Mutex
	good, repeats := 0, true
	h := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("Cookie") != "" || u != user || p != password || r.FormValue("apikey") != query {
			http.Error(rw, `{"message":"no"}`, http.StatusUnauthorized)
			return
		}
		good++
		http.SetCookie(rw, &http.Cookie{Name: "track", Value: "me"})
		if repeats {
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(rw, `{"message":"%s %s %s %s"}`, r.URL, u, p, r.FormValue("apikey"))
			return
		}
		http.StripPrefix("/v2/"+path, w.chain.Handler()).ServeHTTP(rw, r)
	}))
	defer h.Close()
	var log logged
	secret := strings.Replace(h.URL, "http://", "http://"+user+":"+password+"@", 1) + "/v2/" + path + "/?apikey=" + url.QueryEscape(query)
	cfg := w.config(Endpoint{URL: secret, Name: "tenant"})
	cfg.Log = log.logger()
	c := w.client(cfg)
	eventually(t, "an error", func() bool { return c.Status().Endpoints[0].LastError != "" })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Anchor(ctx)
	shown := fmt.Sprint(err, c.Status(), log.String())
	for _, s := range []string{user, password, path, query, url.QueryEscape(query), h.URL[len("http://"):]} {
		if strings.Contains(shown, s) {
			t.Errorf("%s is shown: %s", s, shown)
		}
	}
	if !strings.Contains(shown, "tenant: HTTP status 400: /v2/***/eth") {
		t.Errorf("shown: %s", shown)
	}
	mu.Lock()
	repeats = false
	mu.Unlock()
	eventually(t, "an anchor", c.Ready)
	w.same(anchor(t, c))
	mu.Lock()
	defer mu.Unlock()
	if good < 4 {
		t.Errorf("%d requests with the keys", good)
	}
}

// TestDial: host names go to the dialer as they are, whatever the environment says of proxies.
func TestDial(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:9")
	t.Setenv("http_proxy", "http://127.0.0.1:9")
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
	_, endpoint := w.server("alpha", nil)
	real := strings.TrimPrefix(endpoint.URL, "http://")
	asked := make(chan string, 100)
	endpoint = Endpoint{URL: "http://Beacon.Example:5052/", Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		asked <- network + " " + address
		return new(net.Dialer).DialContext(ctx, network, real)
	}}
	c := w.client(w.config(endpoint))
	a := anchor(t, c)
	w.same(a)
	if to := <-asked; to != "tcp Beacon.Example:5052" || a.Vouchers[0] != "beacon.example:5052" {
		t.Errorf("dialled %q, voucher %v", to, a.Vouchers)
	}
}

// TestTransport: what goes wrong below HTTP is said in plain words, without addresses.
func TestTransport(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	open := httptest.NewServer(http.NotFoundHandler())
	defer open.Close()
	failing := func(err error) chain.Dialer {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	tests := []struct {
		name string
		e    Endpoint
		want string
	}{
		{"nobody listens", Endpoint{URL: "http://" + closed.Addr().String()}, "connection refused"},
		{"unknown authority", Endpoint{URL: secure.URL}, "certificate is not from a known authority"},
		{"no TLS", Endpoint{URL: strings.Replace(open.URL, "http:", "https:", 1)}, "it does not speak TLS"},
		{"no dialer", Endpoint{URL: "http://beacon.example"}, "no dialer was given that resolves host names"},
		{"no such host", Endpoint{URL: "http://beacon.example", Dial: failing(&net.DNSError{Err: "no such host", Name: "beacon.example"})}, "host name could not be resolved"},
		{"odd error", Endpoint{URL: "http://beacon.example", Dial: failing(errors.New("odd thing at beacon.example"))}, "odd thing at ***"},
		{"slow dialer", Endpoint{URL: "http://beacon.example", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, "no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, err := parseAddress(tt.e.URL)
			if err != nil {
				t.Fatal(err)
			}
			timeout := 10 * time.Second // a handshake takes long on a busy machine
			if tt.want == "no answer in time" {
				timeout = 50 * time.Millisecond
			}
			c := newClient(t.Context(), addr, tt.e.Dial, timeout)
			defer c.close()
			_, err = c.get(t.Context(), "optimistic_update", "", 10)
			if !isKind(err, broken) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), addr.url.Host) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// mute is a connection that can be lost without a word, with all that were dialled before it.
type mute struct {
	net.Conn
	number int64
	lost   *atomic.Int64
	end    chan struct{}
	once   *sync.Once
}

func (m mute) isLost() bool { return m.number <= m.lost.Load() }

func (m mute) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if m.isLost() {
		<-m.end
		return 0, net.ErrClosed
	}
	return n, err
}

func (m mute) Write(p []byte) (int, error) {
	if m.isLost() {
		return len(p), nil
	}
	return m.Conn.Write(p)
}

func (m mute) Close() error {
	m.once.Do(func() { close(m.end) })
	return m.Conn.Close()
}

// TestLostConnection: a connection of HTTP/2 that is lost without a word is soon replaced.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	addr, err := parseAddress(secure.URL)
	if err != nil {
		t.Fatal(err)
	}
	var dialled, lost atomic.Int64
	c := newClient(t.Context(), addr, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return mute{conn, dialled.Add(1), &lost, make(chan struct{}), new(sync.Once)}, err
	}, time.Second)
	defer c.close()
	c.base.TLSClientConfig.RootCAs = secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	var body []byte
	ask := func() bool {
		body, err = c.get(t.Context(), "optimistic_update", "", 100)
		return err == nil
	}
	eventually(t, "an answer", ask)
	if string(body) != "HTTP/2.0" {
		t.Fatalf("it spoke %s", body)
	}
	lost.Store(dialled.Load())
	if ask() {
		t.Fatal("an answer over a connection that is lost")
	}
	eventually(t, "an answer over a new connection", ask)
}

func TestConfig(t *testing.T) {
	w := newWorld(t, consensus.Config{})
	good := w.config(Endpoint{URL: "http://127.0.0.1:1"})
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"network", func(c *Config) { c.Network = nil }, "no consensus network"},
		{"slots", func(c *Config) { n := *c.Network; n.SlotTime = 0; c.Network = &n }, "greater than zero"},
		{"checkpoint", func(c *Config) { c.Checkpoint = common.Hash{} }, "no checkpoint"},
		{"endpoints", func(c *Config) { c.Endpoints = nil }, "no beacon endpoint"},
		{"too many", func(c *Config) { c.Endpoints = make([]Endpoint, maxEndpoints+1) }, "33 beacon endpoints"},
		{"scheme", func(c *Config) { c.Endpoints = []Endpoint{{URL: "ftp://secret.example"}} }, `endpoint 1: the URL's scheme "ftp"`},
		{"no scheme", func(c *Config) { c.Endpoints = []Endpoint{{URL: "secret.example/"}} }, "scheme"},
		{"host", func(c *Config) { c.Endpoints = []Endpoint{{URL: "https:///secret"}} }, "no host"},
		{"opaque", func(c *Config) { c.Endpoints = []Endpoint{{URL: "https:secret"}} }, "no host"},
		{"syntax", func(c *Config) { c.Endpoints = []Endpoint{{URL: "https://secret\x7f"}} }, "cannot be parsed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			c, err := New(cfg)
			if err == nil {
				c.Close()
				t.Fatal("taken")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	cfg := good
	cfg.Endpoints = []Endpoint{{URL: "http://127.0.0.1:1/a"}, {URL: "http://127.0.0.1:1/b"}, {URL: "http://127.0.0.1:1", Name: "c"}}
	c := w.client(cfg)
	var names []string
	for _, e := range c.Status().Endpoints {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, ","); got != "127.0.0.1:1,127.0.0.1:1 #2,c" {
		t.Errorf("names %s", got)
	}
}

// TestWaits: before the first anchor callers wait as long as they may, and are told why in the end.
func TestWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
	gate := make(chan struct{})
	_, endpoint := w.server("alpha", func(_ string, rw http.ResponseWriter, r *http.Request, honest http.Handler) {
		select {
		case <-gate:
			honest.ServeHTTP(rw, r)
		case <-r.Context().Done():
		}
	})
	cfg := w.config(endpoint)
	cfg.Timeout = time.Minute
	c := w.client(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Anchor(ctx); !errors.Is(err, chain.ErrNotReady) || ctx.Err() == nil {
		t.Errorf("too soon: %v", err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			a, err := c.Anchor(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			w.same(a)
			a.Vouchers[0], a.Beacon.Slot = "mine", 0 // callers own what they get
		})
	}
	close(gate)
	all.Wait()
	a := anchor(t, c)
	if w.same(a); a.Vouchers[0] != "alpha" {
		t.Errorf("callers share %v", a.Vouchers)
	}
	c.Close()
	if _, err := c.Anchor(t.Context()); !errors.Is(err, chain.ErrNotReady) || c.Ready() {
		t.Errorf("after Close: %v", err)
	}
}

// TestCloseEndsAll: no goroutine and no request outlives Close, and those who wait are told.
func TestCloseEndsAll(t *testing.T) {
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
	started := make(chan struct{}, 100)
	hang := func(_ string, _ http.ResponseWriter, r *http.Request, _ http.Handler) {
		started <- struct{}{}
		<-r.Context().Done()
	}
	_, first := w.server("alpha", hang)
	_, second := w.server("beta", hang)
	dialled := make(chan struct{}, 100)
	third := Endpoint{URL: "http://gamma.example", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialled <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	before := runtime.NumGoroutine()
	cfg := w.config(third, first, second)
	cfg.Timeout = time.Hour
	cfg.Network.SlotTime = 200 * time.Millisecond // for the next to be asked soon
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	go func() {
		_, err := c.Anchor(context.Background())
		told <- err
	}()
	<-dialled
	<-started
	<-started
	c.Close()
	if err := <-told; !errors.Is(err, chain.ErrNotReady) {
		t.Errorf("who waited was told %v", err)
	}
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// TestPanic: a bug that a stranger's answer finds costs that answer.
func TestPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
	_, endpoint := w.server("alpha", nil)
	var log logged
	cfg := w.config(endpoint)
	cfg.Log = log.logger()
	c := w.client(cfg)
	anchor(t, c)
	err := c.guarded(c.peers[0], func(*peer) error { panic("boo") })
	if !isKind(err, broken) || !strings.Contains(log.String(), "boo") {
		t.Errorf("%v\n%s", err, log.String())
	}
}

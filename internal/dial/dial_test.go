package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPublic(t *testing.T) {
	tests := map[bool][]string{
		true: {"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "223.255.255.255",
			"2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::1.1.1.1", "2002:101:101::1", "::ffff:1.1.1.1", "2a00::5efe:101:101"},
		false: {"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1", "169.254.169.254",
			"172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
			"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
			"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1",
			"fc00::1", "fd12:3456::1", "fd00:ec2::254", "ff02::1", "2001::1", "2001:2::1", "2001:10::1", "2001:db8::1", "3fff::1", "5f00::1",
			"100::1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1.1.1.1", "2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:101::1",
			"2a00::5efe:a00:1", "2a00::200:5efe:7f00:1", "4000::1", "2a00::1%eth0"},
	}
	for want, list := range tests {
		for _, s := range list {
			if err := Public(netip.MustParseAddr(s)); (err == nil) != want {
				t.Errorf("Public(%s) = %v", s, err)
			}
		}
	}
	if Public(netip.Addr{}) == nil {
		t.Error("the zero address is public")
	}
}

func echoOn(t *testing.T, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "hello")
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func lookupTo(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) {
		var all []netip.Addr
		for _, a := range addrs {
			all = append(all, netip.MustParseAddr(a))
		}
		return all, nil
	}
}

func TestDialsWhatLookupSays(t *testing.T) {
	port := echoOn(t, "127.0.0.1:0")
	var asked []string
	d := New(Config{Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
		asked = append(asked, host)
		return lookupTo("127.0.0.2", "127.0.0.1")(ctx, host) // nobody listens at the first
	}})
	for _, host := range []string{"node.example", "127.0.0.1", "::ffff:127.0.0.1"} {
		conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if got := conn.RemoteAddr().String(); got != "127.0.0.1:"+port {
			t.Errorf("%s: connected to %s", host, got)
		}
		conn.Close()
	}
	if !slices.Equal(asked, []string{"node.example"}) {
		t.Errorf("looked up %v", asked)
	}
}

func TestRefusals(t *testing.T) {
	port := echoOn(t, "127.0.0.1:0")
	failing := errors.New("no such host")
	tests := []struct {
		name, network, address string
		cfg                    Config
		want                   error
	}{
		{"loopback literal", "tcp", "127.0.0.1:" + port, Config{Allow: Public}, ErrRefused},
		{"mapped literal", "tcp", "[::ffff:127.0.0.1]:" + port, Config{Allow: Public}, ErrRefused},
		{"name to loopback", "tcp", "evil.example:" + port, Config{Allow: Public, Lookup: lookupTo("127.0.0.1", "::1", "10.0.0.1")}, ErrRefused},
		{"name to metadata", "tcp", "evil.example:80", Config{Allow: Public, Lookup: lookupTo("169.254.169.254")}, ErrRefused},
		{"look-up fails", "tcp", "evil.example:80", Config{Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, failing }}, failing},
		{"no address", "tcp", "evil.example:80", Config{Lookup: lookupTo()}, ErrNoAddress},
		{"other family", "tcp6", "evil.example:80", Config{Lookup: lookupTo("127.0.0.1")}, ErrNoAddress},
		{"zero address", "tcp", "evil.example:80", Config{Lookup: func(context.Context, string) ([]netip.Addr, error) { return make([]netip.Addr, 3), nil }}, ErrNoAddress},
		{"no look-up", "tcp", "localhost:" + port, Config{}, nil},
		{"decimal address", "tcp", "2130706433:" + port, Config{}, nil},
		{"network", "unix", "/run/x", Config{}, nil},
		{"no port", "tcp", "127.0.0.1", Config{}, nil},
		{"port by name", "tcp", "127.0.0.1:http", Config{}, nil},
		{"port zero", "tcp", "127.0.0.1:0", Config{}, nil},
	}
	for _, tt := range tests {
		conn, err := New(tt.cfg).DialContext(t.Context(), tt.network, tt.address)
		if err == nil {
			conn.Close()
			t.Errorf("%s: connected", tt.name)
		} else if tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: the error names the host: %v", tt.name, err)
		}
	}
}

// TestRebinding has a name whose address changes after each look-up: one look-up serves check and dial.
func TestRebinding(t *testing.T) {
	var lookups int
	var dialed []string
	d := New(Config{Allow: Public, Lookup: func(context.Context, string) ([]netip.Addr, error) {
		if lookups++; lookups == 1 {
			return []netip.Addr{netip.MustParseAddr("1.1.1.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	d.dial = func(_ context.Context, _, address string) (net.Conn, error) {
		dialed = append(dialed, address)
		return nil, errors.New("unreachable")
	}
	for range 2 {
		if _, err := d.DialContext(t.Context(), "tcp", "rebind.example:443"); err == nil {
			t.Fatal("connected")
		}
	}
	if lookups != 2 || !slices.Equal(dialed, []string{"1.1.1.1:443"}) {
		t.Errorf("%d look-ups, dialed %v", lookups, dialed)
	}
}

func TestInterleave(t *testing.T) {
	var in []netip.Addr
	for i := range 9 {
		in = append(in, netip.AddrFrom4([4]byte{1, 1, 1, byte(i)}))
	}
	for i := range 2 {
		in = append(in, netip.MustParseAddr(fmt.Sprintf("2a00::%d", i)))
	}
	got := fmt.Sprint(interleave(in))
	if want := "[2a00::0 1.1.1.0 2a00::1 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5]"; got != strings.ReplaceAll(want, "::0", "::") {
		t.Errorf("got %s", got)
	}
}

// staged answers a dial as its table says: after how long, and whether with a connection.
type staged struct {
	mu     sync.Mutex
	begin  time.Time
	log    []string
	closed int
	plan   map[string]stage
}

type stage struct {
	after time.Duration
	fails bool
}

type conn struct {
	net.Conn
	s  *staged
	to string
}

func (c conn) Close() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.closed++
	return nil
}

func (s *staged) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	s.mu.Lock()
	s.log = append(s.log, fmt.Sprintf("%s@%v", host, time.Since(s.begin)))
	s.mu.Unlock()
	p := s.plan[host]
	time.Sleep(p.after) // deaf to cancellation: the connection is there after the race was won
	if p.fails {
		return nil, errors.New("refused")
	}
	return conn{s: s, to: host}, nil
}

func TestRace(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name   string
		plan   map[string]stage
		winner string
		took   time.Duration
		log    string
		closed int
	}{
		{"first wins", map[string]stage{"2a00::1": {after: 10 * ms}}, "2a00::1", 10 * ms, "[2a00::1@0s]", 0},
		{"a failure starts the next at once", map[string]stage{"2a00::1": {5 * ms, true}, "1.1.1.1": {after: 10 * ms}}, "1.1.1.1", 15 * ms, "[2a00::1@0s 1.1.1.1@5ms]", 0},
		{"slow first is overtaken and closed", map[string]stage{"2a00::1": {after: time.Second}, "1.1.1.1": {after: 10 * ms}}, "1.1.1.1", 260 * ms, "[2a00::1@0s 1.1.1.1@250ms]", 1},
		{"slow first still wins", map[string]stage{"2a00::1": {after: 300 * ms}, "1.1.1.1": {after: time.Second}}, "2a00::1", 300 * ms, "[2a00::1@0s 1.1.1.1@250ms]", 1},
		{"all fail", map[string]stage{"2a00::1": {300 * ms, true}, "1.1.1.1": {10 * ms, true}}, "", 300 * ms, "[2a00::1@0s 1.1.1.1@250ms]", 0},
		{"all hang", map[string]stage{"2a00::1": {after: time.Minute}, "1.1.1.1": {after: time.Minute}}, "", 10 * time.Second, "[2a00::1@0s 1.1.1.1@250ms]", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &staged{begin: time.Now(), plan: tt.plan}
				d := New(Config{Lookup: lookupTo("1.1.1.1", "2a00::1")})
				d.dial = s.dial
				got, err := d.DialContext(t.Context(), "tcp", "x.example:443")
				if took := time.Since(s.begin); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if (err == nil) != (tt.winner != "") || err == nil && got.(conn).to != tt.winner {
					t.Errorf("got %v, %v", got, err)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				s.mu.Lock()
				defer s.mu.Unlock()
				if log := fmt.Sprint(s.log); log != tt.log || s.closed != tt.closed {
					t.Errorf("log %s, %d closed; want %s, %d", log, s.closed, tt.log, tt.closed)
				}
			})
		})
	}
}

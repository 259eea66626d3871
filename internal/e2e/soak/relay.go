package soak

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Relay stands between dens and a DNS server, and comes and goes.
type Relay struct {
	Addr    string
	backend string
	silent  atomic.Bool

	mu    sync.Mutex
	udp   net.PacketConn // nil: away; guarded by mu, as below
	tcp   net.Listener
	conns map[net.Conn]bool
}

// relayTimeout is what an exchange with the server behind a relay may take.
const relayTimeout = 3 * time.Second

// NewRelay starts a relay at an address.
func NewRelay(addr, backend string) (*Relay, error) {
	r := &Relay{Addr: addr, backend: backend, conns: map[net.Conn]bool{}}
	return r, r.Return()
}

// SetSilent has it swallow what it is asked, as a network does that has lost its way.
func (r *Relay) SetSilent(silent bool) { r.silent.Store(silent) }

// Go closes its port and all connections: who asks is refused by the kernel.
func (r *Relay) Go() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.udp == nil {
		return
	}
	r.udp.Close()
	r.tcp.Close()
	for c := range r.conns {
		c.Close()
	}
	r.udp, r.tcp = nil, nil
}

// HangUp closes all connections, and nothing else.
func (r *Relay) HangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
	}
}

// Return opens its port again. That may fail, while the port is in use as that of somebody's question.
func (r *Relay) Return() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.udp != nil {
		return nil
	}
	udp, err := net.ListenPacket("udp", r.Addr)
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", r.Addr)
	if err != nil {
		udp.Close()
		return err
	}
	r.udp, r.tcp = udp, tcp
	go r.serveUDP(udp)
	go r.serveTCP(tcp)
	return nil
}

func (r *Relay) serveUDP(conn net.PacketConn) {
	for {
		buf := make([]byte, 4096)
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if r.silent.Load() {
			continue
		}
		go func() {
			if reply, err := r.askUDP(buf[:n]); err == nil {
				conn.WriteTo(reply, from) //nolint:errcheck // the asker notices
			}
		}()
	}
}

func (r *Relay) askUDP(query []byte) ([]byte, error) {
	conn, err := net.Dial("udp", r.backend)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(relayTimeout)) //nolint:errcheck // the read says so
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(buf)
	return buf[:n], err
}

func (r *Relay) serveTCP(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns[conn] = true
		r.mu.Unlock()
		go func() {
			r.pass(conn)
			conn.Close()
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.conns, conn)
		}()
	}
}

// pass takes messages to the server and back until the connection ends.
func (r *Relay) pass(conn net.Conn) {
	back, err := net.DialTimeout("tcp", r.backend, relayTimeout)
	if err != nil {
		return
	}
	defer back.Close()
	for {
		query, err := readFrame(conn)
		if err != nil {
			return
		}
		if r.silent.Load() {
			continue
		}
		back.SetDeadline(time.Now().Add(relayTimeout)) //nolint:errcheck // the read says so
		if _, err := back.Write(Frame(query)); err != nil {
			return
		}
		reply, err := readFrame(back)
		if err != nil {
			return
		}
		if _, err := conn.Write(Frame(reply)); err != nil {
			return
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	raw := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, raw)
	return raw, err
}

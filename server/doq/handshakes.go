package doq

import (
	"net/netip"
	"sync"
	"time"
)

// handshakes bounds the handshakes that are under way. Whose address is not proven can be forged, so that such
// clients only ever lose an attempt to a check of their address (Retry, RFC 9000 section 8.1.2), which costs
// the server nothing that it has to remember, and never their right to connect.
type handshakes struct {
	now func() time.Time

	mu      sync.Mutex // guards what follows
	pending int
	clients map[netip.Prefix]*attempts
	second  int64 // to which begun belongs
	begun   int   // handshakes of clients whose address was not proven, in that second
}

// attempts are those of one client which are under way.
type attempts struct{ claimed, proven int }

const (
	maxPending       = 1024 // handshakes under way, in all
	checkedFrom      = 128  // so many under way, and addresses are checked
	checkedRate      = 256  // so many begun in a second without a check, likewise
	claimedPerClient = 8    // so many of one client without a check, likewise
	provenPerClient  = 64   // handshakes of one client whose address is proven
)

func newHandshakes(now func() time.Time) *handshakes {
	return &handshakes{now: now, clients: make(map[netip.Prefix]*attempts)}
}

// doubts reports whether the address of a client that wants to begin a handshake is to be checked first.
func (h *handshakes) doubts(addr netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.now().Unix(); s != h.second {
		h.second, h.begun = s, 0
	}
	if h.pending >= checkedFrom || h.begun >= checkedRate {
		return true
	}
	a := h.clients[clientOf(addr)]
	return a != nil && a.claimed >= claimedPerClient
}

// begin takes a place for a handshake. The place is given back by end, which may be called more than once;
// without a place it is nil.
func (h *handshakes) begin(addr netip.Addr, proven bool) (end func()) {
	client := clientOf(addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.clients[client]
	if h.pending >= maxPending || proven && a != nil && a.proven >= provenPerClient {
		return nil
	}
	if a == nil {
		a = new(attempts)
		h.clients[client] = a
	}
	n := &a.claimed
	if proven {
		n = &a.proven
	} else {
		h.begun++
	}
	h.pending++
	*n++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.pending--
		if *n--; *a == (attempts{}) {
			delete(h.clients, client)
		}
	})
}

// clientOf is what counts as one client: an IPv4 address, or the /64 that one IPv6 host or home has.
func clientOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

package packet

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spread tells the kernel how many of the sockets that share an address get its packets. As few as can keep up
// cost least: each reader that is woken costs the same for one packet as for many.
//
//	one socket --its reader always finds more than it can take--> one more, up to all --batches are small--> one fewer
type spread struct {
	raw     syscall.RawConn // of any of the sockets: the kernel asks once for all of them
	sockets int

	mu      sync.Mutex // guards what follows
	active  int
	changed time.Time
}

const (
	busyBatches = 8       // full ones in a row: the reader does not keep up
	calmBatches = 1 << 12 // over so many, small ones on average: fewer readers would do
	calmPackets = calmBatches * batchSize / 3
	widenPause  = 50 * time.Millisecond // between two changes; what waits has to be worked off first
	narrowPause = time.Second
)

// newSpread returns nil where there is one socket, or a kernel that cannot be told: then it spreads the packets by
// the clients' addresses.
func newSpread(raw syscall.RawConn, sockets int) *spread {
	p := &spread{raw: raw, sockets: sockets, active: 1}
	if sockets < 2 || p.tell() != nil {
		return nil
	}
	return p
}

// tell has the kernel give each packet to one of the active sockets by chance (socket(7), SO_ATTACH_REUSEPORT_CBPF).
// UDP has no memory, so that a client's packets may go to any of them.
func (p *spread) tell() (err error) {
	const random = 1<<32 - 0x1000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM of linux/filter.h
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: random},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(p.active)},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	if ctrlErr := p.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	}); ctrlErr != nil {
		return ctrlErr
	}
	return err
}

// change makes by more sockets active, if the last change was long enough ago.
func (p *spread) change(by int, pause time.Duration) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	active := min(max(p.active+by, 1), p.sockets)
	if active == p.active || now.Sub(p.changed) < pause {
		return
	}
	p.active, p.changed = active, now
	_ = p.tell() // which has worked before; at worst the packets stay as they are spread
}

// pace is how well a reader keeps up.
type pace struct{ full, batches, packets int }

// note counts a batch of n packets.
func (c *pace) note(n int, p *spread) {
	if p == nil {
		return
	}
	if n < batchSize {
		c.full = 0
	} else if c.full++; c.full == busyBatches {
		*c = pace{}
		p.change(1, widenPause)
	}
	c.packets += n
	if c.batches++; c.batches == calmBatches {
		if c.packets < calmPackets {
			p.change(-1, narrowPause)
		}
		*c = pace{}
	}
}

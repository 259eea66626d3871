package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

const (
	// maxSmall is the size of what is pooled. No client sends a longer request by UDP: one question
	// and an OPT record with padding stay far below.
	maxSmall = intake.MaxSmall
	// drainGrace is how long a listener that is being drained still reads: what the kernel has taken
	// from clients already is answered.
	drainGrace = 30 * time.Millisecond
)

// udpListener is one UDP socket.
//
//	open --drain--> reads for drainGrace --> all replies sent --> closed
type udpListener struct {
	s        *Server
	conn     *net.UDPConn
	wildcard bool // the address asked comes with each packet
	work     sync.WaitGroup
	read     chan struct{} // closed when the reader has ended
	packets  sync.Pool
}

// packet is one request and the room for its reply.
type packet struct {
	from   netip.AddrPort
	n, oob int
	req    [maxSmall + 1]byte // one more, to tell what was cut off
	reply  [maxSmall]byte
	ctrl   [controlSize]byte
}

func newUDPListener(s *Server, network, address string) (*udpListener, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	l := &udpListener{s: s, conn: pc.(*net.UDPConn), read: make(chan struct{})}
	l.packets.New = func() any { return new(packet) }
	if local, ok := l.conn.LocalAddr().(*net.UDPAddr); ok && local.IP.IsUnspecified() {
		if err := askForDestination(l.conn, network); err != nil {
			l.conn.Close()
			return nil, err
		}
		l.wildcard = true
	}
	return l, nil
}

func (l *udpListener) addr() net.Addr { return l.conn.LocalAddr() }

// serve reads until the listener is drained or closed.
func (l *udpListener) serve() {
	defer close(l.read)
	for {
		p := l.packets.Get().(*packet)
		if err := l.receive(p); err != nil {
			l.packets.Put(p)
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			// A passing lack of memory, or an error of an earlier packet: never a reason to go deaf.
			l.s.in.Conf().Log.Debug("UDP read failed", "address", l.addr().String(), "error", err)
			time.Sleep(time.Millisecond)
			continue
		}
		conf := l.s.in.Conf()
		switch {
		case p.n > maxSmall:
			conf.Stats.Malformed.Add(1)
			l.packets.Put(p)
		case !l.s.in.EnterUDP():
			l.packets.Put(p)
		default:
			l.work.Add(1)
			go l.answer(p, conf)
		}
	}
}

func (l *udpListener) receive(p *packet) (err error) {
	var ctrl []byte
	if l.wildcard {
		ctrl = p.ctrl[:]
	}
	p.n, p.oob, _, p.from, err = l.conn.ReadMsgUDPAddrPort(p.req[:], ctrl)
	return err
}

func (l *udpListener) answer(p *packet, conf *intake.Config) {
	defer l.work.Done()
	defer l.s.in.LeaveUDP()
	defer l.packets.Put(p)
	from := wire.Peer{Addr: netip.AddrPortFrom(p.from.Addr().Unmap(), p.from.Port()), Protocol: wire.UDP}
	reply := l.s.answer(p.req[:p.n], from, p.reply[:0])
	if len(reply) == 0 {
		return
	}
	var ctrl []byte
	if l.wildcard {
		ctrl = replySource(p.ctrl[:p.oob])
	}
	if _, _, err := l.conn.WriteMsgUDPAddrPort(reply, ctrl, p.from); err != nil {
		conf.Stats.WriteErrors.Add(1)
	}
}

// drain reads what the kernel holds, waits for all replies and closes. When ctx ends first, the
// socket is closed under them.
func (l *udpListener) drain(ctx context.Context) {
	_ = l.conn.SetReadDeadline(time.Now().Add(drainGrace))
	<-l.read
	waitOr(ctx, &l.work)
	l.conn.Close()
}

// abandon closes a listener that never served.
func (l *udpListener) abandon() { l.conn.Close() }

// waitOr waits for the group, or for ctx to end.
func waitOr(ctx context.Context, group *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

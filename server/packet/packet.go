package packet

import (
	"net/netip"
	"strconv"
	"syscall"

	"dens/internal/wire"
	"dens/server/intake"
)

const (
	// requestSize has room for one octet more than is taken, to tell what was cut off.
	requestSize = intake.MaxSmall + 1
	replySize   = 4096
	controlSize = 128 // the packet information of both families
)

type rawConn = syscall.RawConn

// packet is one request that waits for its reply, apart from the buffers of the reader.
type packet struct {
	query   wire.Query
	to      netip.AddrPort // as the plain path has it
	control []byte         // what makes the reply leave from the address that was asked
	peer    peerAddr       // as the batches have it
	request [intake.MaxSmall]byte
	reply   [replySize]byte
	room    [controlSize]byte
}

// detach copies a request out of its reader's buffers, if there is a place for one more to wait.
func (l *Listener) detach(q *wire.Query, control []byte) *packet {
	if !l.in.EnterUDP() {
		return nil
	}
	p := l.packets.Get().(*packet)
	p.query = *q
	p.query.Msg = p.request[:copy(p.request[:], q.Msg)]
	p.control = p.room[:copy(p.room[:], control)]
	return p
}

// wait has a request answered that needs waiting, on a goroutine of its own. send sends the reply.
func (l *Listener) wait(p *packet, send func(p *packet, reply []byte) error) {
	l.misses.Add(1)
	go func() {
		defer l.misses.Done()
		defer l.in.LeaveUDP()
		defer l.packets.Put(p)
		reply := l.in.Wait(&p.query, p.reply[:0])
		if len(reply) == 0 {
			return
		}
		if err := send(p, reply); err != nil {
			l.in.Conf().Stats.WriteErrors.Add(1)
		}
	}()
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }

package forward

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// A connection on which nothing came for so long, with a question waiting, gets no more of them: the
	// peer may be gone without a word, and TCP would take minutes to notice.
	silence = time.Second
	// maxStrays are replies to nothing that was asked; late ones are among them.
	maxStrays = 256
	// A message must come whole in this time once it has begun.
	messageTime = 5 * time.Second
)

// conn is one connection with questions under way on it.
type conn struct {
	nc           net.Conn
	chance       *chance
	idleTimeout  time.Duration
	writeTimeout time.Duration
	idle         *time.Timer
	dead         chan struct{} // closed with the connection; err is set then

	writing sync.Mutex // one message at a time

	mu       sync.Mutex
	pending  map[uint16]*call
	claimed  int  // questions that will come
	retired  bool // silent: for no more questions
	lastRead time.Time
	err      error
}

// call waits for the reply to one question.
type call struct {
	question []byte
	reply    chan []byte // of size 1; a reply that finds it full is dropped
}

func newConn(nc net.Conn, chance *chance, idle, write time.Duration) *conn {
	c := &conn{
		nc: nc, chance: chance, idleTimeout: idle, writeTimeout: write,
		dead: make(chan struct{}), pending: make(map[uint16]*call), lastRead: time.Now(),
	}
	c.idle = time.AfterFunc(idle, c.closeIdle)
	return c
}

// load returns the number of questions under way, and whether more can be asked.
func (c *conn) load() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) + c.claimed, c.err == nil && !c.retired
}

// idleSince returns when something last came; false when a question is under way.
func (c *conn) idleSince() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastRead, len(c.pending)+c.claimed == 0
}

// claim announces a roundTrip.
func (c *conn) claim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claimed++
}

// roundTrip asks one question, which was claimed. An error that wraps errClosed says that the connection
// is of no use; so does errSilent, which only those get who are not patient.
func (c *conn) roundTrip(ctx context.Context, req, question, buf []byte, patient bool) ([]byte, error) {
	call := &call{question: question, reply: make(chan []byte, 1)}
	id, err := c.add(call)
	if err != nil {
		return nil, err
	}
	defer c.remove(id)
	msg := make([]byte, 2, 2+len(req))
	binary.BigEndian.PutUint16(msg, uint16(len(req)))
	msg = append(msg, req...)
	binary.BigEndian.PutUint16(msg[2:], id)
	start := time.Now()
	c.write(msg)
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		select {
		case reply := <-call.reply:
			return call.settle(req, reply, buf), nil
		case <-c.dead:
			select {
			case reply := <-call.reply: // it came before the end
				return call.settle(req, reply, buf), nil
			default:
				return nil, c.cause()
			}
		case <-quiet.C:
			if !patient && c.retireIfSilent(start) {
				return nil, errSilent
			}
		case <-ctx.Done():
			c.retireIfSilent(start)
			return nil, ctx.Err()
		}
	}
}

// settle makes the reply one to req, in buf where it fits.
func (call *call) settle(req, reply, buf []byte) []byte {
	restore(reply, req, call.question)
	return into(buf, reply)
}

// write sends one message, and closes the connection when that does not work.
func (c *conn) write(msg []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.nc.SetWriteDeadline(time.Now().Add(c.writeTimeout))
	if _, err := c.nc.Write(msg); err != nil {
		c.close(err)
	}
}

// add registers a call under an id that no other call has.
func (c *conn) add(call *call) (uint16, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claimed--
	if c.err != nil {
		return 0, c.err
	}
	if len(c.pending) >= maxPending {
		return 0, errBusy
	}
	id := c.chance.id()
	for c.pending[id] != nil {
		id++
	}
	c.pending[id] = call
	c.idle.Stop()
	return id, nil
}

func (c *conn) remove(id uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
	switch {
	case len(c.pending) > 0 || c.err != nil:
	case c.retired:
		c.fail(errSilent)
	default:
		c.idle.Reset(c.idleTimeout)
	}
}

// retireIfSilent takes the connection out of use when nothing has come on it since start, long ago. It
// is closed when the last question on it has ended.
func (c *conn) retireIfSilent(start time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastRead.Before(start) && time.Since(start) >= silence {
		c.retired = true
	}
	return c.retired
}

func (c *conn) closeIdle() {
	c.mu.Lock()
	idle := len(c.pending) == 0 && c.claimed == 0
	if idle && c.err == nil {
		c.fail(errors.New("idle"))
	}
	c.mu.Unlock()
}

// close ends the connection; all calls fail with cause.
func (c *conn) close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.fail(cause)
	}
}

// fail does what close does, under mu.
func (c *conn) fail(cause error) {
	c.err = errClosed
	if cause != errClosed {
		c.err = fmt.Errorf("%w: %w", errClosed, cause)
	}
	c.idle.Stop()
	close(c.dead)
	// The close of a TLS connection may wait for a write: not under mu.
	go c.nc.Close()
}

func (c *conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// read hands out replies until the connection ends.
func (c *conn) read() {
	in := bufio.NewReader(c.nc)
	strays := 0
	for {
		msg, err := c.next(in)
		if err != nil {
			c.close(err)
			return
		}
		if c.deliver(msg) {
			strays = 0
		} else if strays++; strays > maxStrays {
			c.close(ErrForged)
			return
		}
	}
}

// next reads one message. Memory is taken as the bytes come in.
func (c *conn) next(in *bufio.Reader) ([]byte, error) {
	c.nc.SetReadDeadline(time.Time{})
	if _, err := in.Peek(1); err != nil {
		return nil, err
	}
	c.nc.SetReadDeadline(time.Now().Add(messageTime))
	var length [2]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(length[:])
	if n < headerLen {
		return nil, errShape
	}
	msg := make([]byte, n)
	_, err := io.ReadFull(in, msg)
	return msg, err
}

// deliver gives a reply to its call.
func (c *conn) deliver(msg []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastRead = time.Now() // a late reply is a sign of life too
	id := binary.BigEndian.Uint16(msg)
	call := c.pending[id]
	// The spelling was not mixed: the handshake does what 0x20 is for.
	if call == nil || match(msg, id, call.question) == foreign {
		return false
	}
	select {
	case call.reply <- msg:
		return true
	default:
		return false
	}
}

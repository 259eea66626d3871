package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"dens/internal/wire"
	"dens/server/certs"
	"dens/server/intake"
)

const (
	readBuffer = 2048
	// lingerTime and lingerBytes bound what is still read, and thrown away, after the last reply: a
	// socket closed with unread data sends a reset, which can destroy replies on their way.
	lingerTime  = 200 * time.Millisecond
	lingerBytes = 1 << 16
)

// stream is one TCP or TLS connection (RFC 7766): pipelined requests, replies in any order.
//
//	reading --EOF, idle, malformed, stop--> all replies written --> closed
//
// One goroutine reads; each request has its own.
type stream struct {
	s    *Server
	conn net.Conn // slot, or TLS over it
	slot *slot
	peer wire.Peer
	in   *bufio.Reader
	room chan struct{} // a token for each request under way
	work sync.WaitGroup

	readMu   sync.Mutex // guards the read deadline
	stopping bool       // the deadline stays as it is

	writeMu sync.Mutex // serialises replies
	broken  bool       // a write failed: nothing more can be sent
}

func newStream(s *Server, sl *slot, proto wire.Protocol, security *tls.Config) *stream {
	conf := s.in.Conf()
	c := &stream{s: s, conn: sl, slot: sl, room: make(chan struct{}, conf.MaxPipeline)}
	c.peer = wire.Peer{Addr: addrPortOf(sl.RemoteAddr()), Protocol: proto}
	if security != nil {
		c.conn = tls.Server(sl, security)
	}
	c.in = bufio.NewReaderSize(c.conn, readBuffer)
	return c
}

// serve lives as long as the connection.
func (c *stream) serve() {
	defer c.conn.Close()
	if !c.handshake() {
		return
	}
	for c.await() && c.next() {
	}
	c.work.Wait()
	c.linger()
}

func (c *stream) handshake() bool {
	conn, ok := c.conn.(*tls.Conn)
	if !ok {
		return true
	}
	conf := c.s.in.Conf()
	c.arm(conf.ReadTimeout)
	_ = conn.SetWriteDeadline(time.Now().Add(conf.ReadTimeout))
	if err := conn.HandshakeContext(c.s.in.Base()); err != nil {
		conf.Log.Debug("TLS handshake failed", "client", c.peer.Addr.Addr().String(), "error", err)
		return false
	}
	return conn.ConnectionState().NegotiatedProtocol != certs.ChallengeProto
}

// arm sets the read deadline, unless the stream is to stop.
func (c *stream) arm(d time.Duration) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if !c.stopping {
		_ = c.conn.SetReadDeadline(time.Now().Add(d))
	}
}

// stop ends the reading after grace. What was read by then is answered.
func (c *stream) stop(grace time.Duration) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if !c.stopping {
		c.stopping = true
		_ = c.conn.SetReadDeadline(time.Now().Add(grace))
	}
}

func (c *stream) isStopping() bool {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	return c.stopping
}

// await waits for the first octet of a message. It reports false when there will be none.
func (c *stream) await() bool {
	for {
		conf := c.s.in.Conf()
		left := conf.IdleTimeout - c.slot.Idle()
		if left <= 0 {
			return false
		}
		c.arm(left)
		_, err := c.in.Peek(1)
		if err == nil {
			return true
		}
		// A client that waits for replies is not idle: the time counts from the last of them.
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.isStopping() {
			return false
		}
	}
}

// next reads one message and starts on its answer. It reports false when nothing more is to be read.
func (c *stream) next() bool {
	conf := c.s.in.Conf()
	c.room <- struct{}{} // while full, the client's data waits in its socket
	if !c.s.in.EnterStream() {
		<-c.room
		return false
	}
	c.arm(conf.ReadTimeout)
	m := c.s.messages.Get().(*message)
	req, large, err := c.read(m, conf)
	if err == nil && malformed(req) {
		err = errMalformed
	}
	if err != nil {
		c.s.messages.Put(m)
		c.s.in.LeaveStream()
		<-c.room
		c.countReadError(err, conf)
		return false
	}
	c.slot.Begin(1)
	c.work.Add(1)
	if large {
		c.answer(m, req, conf) // one at a time: it holds memory that others cannot have
		c.s.in.LeaveLarge()
		return true
	}
	go c.answer(m, req, conf)
	return true
}

var (
	errMalformed = errors.New("malformed message")
	errLarge     = errors.New("too many large messages")
)

// read reads a message. A large one has a place in the large gate, which the caller gives back.
func (c *stream) read(m *message, conf *intake.Config) (req []byte, large bool, err error) {
	head, err := c.in.Peek(frameLen)
	if err != nil {
		return nil, false, err
	}
	if large = int(head[0])<<8|int(head[1]) > maxSmall; large && !c.s.in.EnterLarge() {
		return nil, false, errLarge
	}
	if req, err = readFrame(c.in, m.req[:0]); large && (err != nil || malformed(req)) {
		c.s.in.LeaveLarge()
		large = false
	}
	return req, large, err
}

func (c *stream) countReadError(err error, conf *intake.Config) {
	switch {
	case errors.Is(err, errMalformed), errors.Is(err, errEmptyFrame), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, os.ErrDeadlineExceeded) && !c.isStopping():
		conf.Stats.Malformed.Add(1)
	}
}

// answer has the request answered and writes the reply.
func (c *stream) answer(m *message, req []byte, conf *intake.Config) {
	defer func() {
		c.s.messages.Put(m)
		c.slot.End(1)
		c.s.in.LeaveStream()
		<-c.room
		c.work.Done()
	}()
	reply := c.s.answer(req, c.peer, m.reply[frameLen:frameLen])
	switch {
	case len(reply) == 0:
		c.stop(0) // a client that sends what deserves no reply would wait for it
	case len(reply) > maxMessage:
		conf.Log.Error("a reply is too long to be sent", "octets", len(reply))
		c.stop(0)
	default:
		c.write(frame(m.reply[:], reply), conf)
	}
}

func (c *stream) write(framed []byte, conf *intake.Config) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.broken {
		conf.Stats.WriteErrors.Add(1)
		return
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(conf.WriteTimeout))
	if _, err := c.conn.Write(framed); err != nil {
		conf.Stats.WriteErrors.Add(1)
		c.broken = true
		c.slot.Close() // wakes the reader
	}
}

// linger closes the sending side and lets the client take the replies in.
func (c *stream) linger() {
	c.writeMu.Lock()
	broken := c.broken
	c.writeMu.Unlock()
	if broken {
		return
	}
	_ = c.slot.SetDeadline(time.Now().Add(lingerTime))
	if conn, ok := c.conn.(*tls.Conn); ok {
		_ = conn.CloseWrite()
	}
	if err := c.slot.CloseWrite(); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.slot, lingerBytes)
}

// message is the room for one request and its reply, with its length before it.
type message struct {
	req   [maxSmall]byte
	reply [frameLen + maxSmall]byte
}

// malformed tells what is not even handed to the Handler: shorter than a header, or itself a reply.
func malformed(msg []byte) bool { return len(msg) < 12 || msg[2]&0x80 != 0 }

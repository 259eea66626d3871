package pool

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"dens/chain"
)

// Bounds of what a stream may send that nobody asked for, and of a WebSocket handshake.
const (
	unaskedPerSecond = 50
	unaskedBurst     = 1000
	maxHandshake     = 256 << 10 // bytes read before the stream is open, certificates included
)

// frames is a connection that carries whole messages. send and next may run at the same time.
type frames interface {
	next() ([]byte, error)
	send(message []byte) error
	Close() error
}

// stream stands between a connection and the RPC client: what the client reads from it has been checked,
// and a broken connection stays broken, so that a new one always begins with a look at the chain id.
type stream struct {
	frames  frames
	unasked *rate.Limiter
	rest    []byte      // of the message that is being read; owned by the client's one reader
	batches atomic.Bool // one was sent
	refused atomic.Bool // an error came back that names no request, as for a batch that is not taken
	once    sync.Once
	lost    chan struct{}
}

func newStreamLink(ctx context.Context, f frames) (*link, error) {
	s := &stream{frames: f, unasked: rate.NewLimiter(unaskedPerSecond, unaskedBurst), lost: make(chan struct{})}
	c, err := rpc.DialIO(ctx, s, s)
	if err != nil {
		s.fail()
		return nil, err
	}
	return &link{client: c, lost: s.lost, refused: s.refused.Load, close: func() { s.fail(); c.Close() }}, nil
}

// fail ends the stream for good; reads and writes return errors from now on.
func (s *stream) fail() {
	s.once.Do(func() {
		close(s.lost)
		s.frames.Close()
	})
}

// Read gives the client the next checked message, followed by a newline.
func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		frame, err := s.frames.next()
		if err != nil {
			s.fail()
			return 0, err
		}
		out, reply, err := checkPushed(frame)
		if errors.Is(err, errBatchRefused) {
			s.refused.Store(s.batches.Load())
		}
		if err == nil && !reply && !s.unasked.Allow() {
			err = fmt.Errorf("%w: too many messages that were not asked for", chain.ErrLimit)
		}
		if err != nil {
			s.fail()
			return 0, err
		}
		if len(out) > 0 {
			s.rest = append(out, '\n')
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write sends one message; the client writes each in one piece.
func (s *stream) Write(p []byte) (int, error) {
	if len(p) > 0 && p[0] == '[' {
		s.batches.Store(true)
	}
	if err := s.frames.send(p); err != nil {
		s.fail()
		return 0, err
	}
	return len(p), nil
}

// wsFrames is a WebSocket connection.
type wsFrames struct {
	*websocket.Conn
	timeout time.Duration
}

func (f *wsFrames) next() ([]byte, error) {
	_, frame, err := f.ReadMessage()
	if errors.Is(err, websocket.ErrReadLimit) {
		return nil, fmt.Errorf("%w: message too long", chain.ErrLimit)
	}
	return frame, err
}

func (f *wsFrames) send(message []byte) error {
	if err := f.SetWriteDeadline(time.Now().Add(f.timeout)); err != nil {
		return err
	}
	return f.WriteMessage(websocket.TextMessage, bytes.TrimRight(message, "\n"))
}

func dialWS(ctx context.Context, addr address, cfg EndpointConfig) (*link, error) {
	var gate *handshakeConn
	dialer := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := cfg.dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			gate = &handshakeConn{Conn: conn, left: maxHandshake}
			return gate, nil
		},
		TLSClientConfig:  &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
		HandshakeTimeout: cfg.Timeout,
	}
	target := *addr.url
	header := http.Header{"User-Agent": {"dens"}}
	if target.User != nil {
		header.Set("Authorization", "Basic "+basicAuth(target.User))
		target.User = nil
	}
	conn, resp, err := dialer.DialContext(ctx, target.String(), header)
	if gate != nil && gate.over.Load() { // what was being read then tells something else
		return nil, fmt.Errorf("%w: handshake too long", chain.ErrLimit)
	}
	if err != nil {
		return nil, handshakeError(resp, err)
	}
	gate.open.Store(true)
	conn.SetReadLimit(cfg.MaxBody)
	return newStreamLink(ctx, &wsFrames{Conn: conn, timeout: cfg.Timeout})
}

// handshakeError tells what an HTTP server said instead of switching protocols.
func handshakeError(resp *http.Response, err error) error {
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return err
	}
	return &statusError{code: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
}

func basicAuth(user *url.Userinfo) string {
	password, _ := user.Password()
	return base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
}

// handshakeConn bounds what is read until the handshake is done: header lines have no bound of their own.
type handshakeConn struct {
	net.Conn
	left int // owned by the one reader
	open atomic.Bool
	over atomic.Bool
}

func (c *handshakeConn) Read(p []byte) (int, error) {
	if c.open.Load() {
		return c.Conn.Read(p)
	}
	if c.left <= 0 {
		c.over.Store(true)
		return 0, fmt.Errorf("%w: handshake too long", chain.ErrLimit)
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// ipcFrames is a Unix socket that carries JSON values one after the other.
type ipcFrames struct {
	net.Conn
	bounded *boundedReader
	decoder *json.Decoder
	timeout time.Duration
}

func (f *ipcFrames) next() ([]byte, error) {
	f.bounded.left = f.bounded.limit
	var raw json.RawMessage
	err := f.decoder.Decode(&raw)
	return raw, err
}

func (f *ipcFrames) send(message []byte) error {
	if err := f.SetWriteDeadline(time.Now().Add(f.timeout)); err != nil {
		return err
	}
	_, err := f.Conn.Write(message)
	return err
}

// boundedReader bounds the bytes of one message; the limit is set anew for each.
type boundedReader struct {
	r           io.Reader
	limit, left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: message too long", chain.ErrLimit)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func dialIPC(ctx context.Context, addr address, cfg EndpointConfig) (*link, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", addr.path)
	if err != nil {
		return nil, err
	}
	bounded := &boundedReader{r: conn, limit: cfg.MaxBody}
	return newStreamLink(ctx, &ipcFrames{Conn: conn, bounded: bounded, decoder: json.NewDecoder(bounded), timeout: cfg.Timeout})
}

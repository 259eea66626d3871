package doq

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"dens/server/intake"
)

// serveHTTP3 serves HTTP/3: a request on each stream. It is lean where a resolver has no use for more: no dynamic
// table, no push, no trailers.
func (c *conn) serveHTTP3() {
	control, err := c.q.OpenUniStream()
	if err == nil {
		_, err = control.Write(appendControl(nil))
	}
	if err != nil {
		c.close(h3ExcessiveLoad) // the client allows no control stream (RFC 9114 section 6.2)
		return
	}
	go c.acceptUnidirectional()
	var next quic.StreamID
	for {
		str, err := c.q.AcceptStream(c.accepting)
		if err != nil {
			break
		}
		next = str.StreamID() + 4
		go c.serveRequest(str)
	}
	go func() {
		_, _ = control.Write(appendGoAway(nil, next)) // ends with the connection at the latest
	}()
	go c.rejectRequests()
	c.finish()
}

// rejectRequests tells clients that what came after GOAWAY was not looked at and can be asked elsewhere.
func (c *conn) rejectRequests() {
	for {
		str, err := c.q.AcceptStream(c.q.Context())
		if err != nil {
			return
		}
		cut(str, h3RequestRejected)
	}
}

func (c *conn) acceptUnidirectional() {
	streams := new(critical)
	for {
		str, err := c.q.AcceptUniStream(c.q.Context())
		if err != nil {
			return
		}
		go func() {
			err := streams.serveUnidirectional(str)
			if m, ok := errors.AsType[*malformed](err); ok {
				str.CancelRead(m.code)
			} else {
				c.judge(err)
			}
		}()
	}
}

// judge ends the connection if the error is one for which it has to end.
func (c *conn) judge(err error) {
	if f, ok := errors.AsType[*fatal](err); ok {
		c.blame(f.code)
	}
}

func (c *conn) serveRequest(str *quic.Stream) {
	conf := c.l.in.Conf()
	now := time.Now()
	_ = str.SetReadDeadline(now.Add(conf.ReadTimeout))
	r := c.l.readers.Get().(*bufio.Reader)
	r.Reset(str)
	defer func() {
		r.Reset(nil)
		c.l.readers.Put(r)
	}()
	req, err := readRequest(r)
	if errors.Is(err, errLongHeader) {
		conf.Stats.Malformed.Add(1)
		w := response{header: make(http.Header), status: http.StatusRequestHeaderFieldsTooLarge}
		c.respond(str, w.frames(http.MethodGet, now), conf)
		return
	}
	if err != nil {
		c.unreadRequest(str, err, conf)
		return
	}
	c.begin()
	defer c.end()
	req = req.WithContext(str.Context())
	req.RemoteAddr, req.TLS = c.peer().String(), c.tls
	if strings.EqualFold(req.Header.Get("Expect"), "100-continue") { // RFC 9110 section 10.1.1
		req.Body.(*body).leave = func() {
			_ = str.SetWriteDeadline(now.Add(conf.WriteTimeout))
			_, _ = str.Write(appendContinue(nil)) // if that fails, so does the response
		}
	}
	w := response{header: make(http.Header, 8)}
	if !c.handle(&w, req) {
		cut(str, h3Internal)
		return
	}
	c.judge(req.Body.(*body).err)
	if str.Context().Err() != nil {
		c.cancel(str, h3RequestCancelled)
		return
	}
	c.respond(str, w.frames(req.Method, now), conf)
}

// handle has the handler answer, and reports whether it survived that.
func (c *conn) handle(w http.ResponseWriter, req *http.Request) (ok bool) {
	defer func() {
		if cause := recover(); cause != nil && cause != http.ErrAbortHandler {
			c.l.in.LogPanic(cause)
		}
	}()
	c.l.conf.Handler.ServeHTTP(w, req)
	return true
}

// unreadRequest deals with a stream that brought no request.
func (c *conn) unreadRequest(str *quic.Stream, err error, conf *intake.Config) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		conf.Stats.Slow.Add(1)
		cut(str, h3RequestIncomplete)
		return
	}
	m, ok := errors.AsType[*malformed](err)
	if ok {
		conf.Stats.Malformed.Add(1)
		cut(str, m.code)
		return
	}
	if f, ok := errors.AsType[*fatal](err); ok {
		conf.Stats.Malformed.Add(1)
		c.blame(f.code)
		return
	}
	c.cancel(str, h3RequestCancelled) // the client has reset the stream, or the connection is gone
}

// respond sends a response. What the client still sends is not wanted (RFC 9114 section 4.1).
func (c *conn) respond(str *quic.Stream, octets []byte, conf *intake.Config) {
	_ = str.SetWriteDeadline(time.Now().Add(conf.WriteTimeout))
	if _, err := str.Write(octets); err != nil {
		conf.Stats.WriteErrors.Add(1)
		c.cancel(str, h3RequestCancelled)
		return
	}
	_ = str.Close()
	str.CancelRead(h3NoError)
	c.count(-1)
}

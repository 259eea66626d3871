package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"dens/internal/e2e/soak"
)

// maxAlerts is what may come back before a connection is closed whose handshake fails: an alert, or a few.
const maxAlerts = 64

// sendsTo is sends, where TLS alerts may come back.
func sendsTo(to func(*soak.Target) string, bytes string) func(context.Context, *soak.Target) error {
	return func(ctx context.Context, w *soak.Target) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to(w))
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, bytes); err != nil {
			return err
		}
		return closes(ctx, conn, maxAlerts)
	}
}

// alerted wants a handshake to fail by an alert of the server.
func alerted(to func(*soak.Target) string, alert string, change func(*tls.Config)) func(context.Context, *soak.Target) error {
	return func(ctx context.Context, w *soak.Target) error {
		conf := &tls.Config{RootCAs: w.Roots, ServerName: w.ServerName, MinVersion: tls.VersionTLS10}
		change(conf)
		conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", to(w))
		if err == nil {
			conn.Close()
			return errors.New("the handshake was done")
		}
		if !strings.Contains(err.Error(), alert) {
			return fmt.Errorf("got %w, want the alert %q", err, alert)
		}
		return nil
	}
}

// overTLS has something done over a connection whose handshake is done, which has to be closed then.
func overTLS(to func(*soak.Target) string, alpn string, do func(*tls.Conn) error) func(context.Context, *soak.Target) error {
	return func(ctx context.Context, w *soak.Target) error {
		conn, err := w.DialTLS(ctx, "", to(w), alpn)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := do(conn); err != nil {
			return err
		}
		return closes(ctx, conn.NetConn(), 1<<16)
	}
}

func writes(bytes string) func(*tls.Conn) error {
	return func(c *tls.Conn) error {
		_, err := io.WriteString(c, bytes)
		return err
	}
}

func badTLS() map[string]badInput {
	const plain = "GET /dns-query HTTP/1.1\r\nHost: dens.example\r\n\r\n"
	rows := map[string]badInput{
		"DoT: a length of 0":      {overTLS(toDoT, "dot", writes("\x00\x00")), malformedTotal},
		"DoT: less than a header": {overTLS(toDoT, "dot", writes("\x00\x04less")), malformedTotal},
		"DoT: no ALPN": {func(ctx context.Context, w *soak.Target) error {
			conn, err := w.DialTLS(ctx, "", w.DoT) // RFC 7858 has none
			if err == nil {
				conn.Close()
			}
			return err
		}, ""},
	}
	for name, to := range map[string]func(*soak.Target) string{"DoT": toDoT, "DoH": toDoH} {
		for what, bytes := range map[string]string{
			"plain DNS":                string(soak.Frame(message(7, flagsQuery, 1, 0, 0, 0, exampleA))),
			"plain HTTP":               plain,
			"a record too long":        "\x16\x03\x01\xff\xff" + strings.Repeat("x", 2000),
			"a record of another kind": "\x17\x03\x03\x00\x05hello",
			"a hello of noise":         "\x16\x03\x01\x00\x20\x01\x00\x00\x1c" + strings.Repeat("\xee", 28),
		} {
			rows[name+": "+what] = badInput{sendsTo(to, bytes), handshakesTotal}
		}
		rows[name+": a wrong ALPN"] = badInput{alerted(to, "no application protocol", func(c *tls.Config) { c.NextProtos = []string{"imap"} }), handshakesTotal}
		rows[name+": an old version"] = badInput{alerted(to, "protocol version not supported", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }), handshakesTotal}
	}
	return rows
}

// overDoQ has something done over DoQ, which has to end the connection with an error, or all is well with -1.
func overDoQ(want quic.ApplicationErrorCode, do func(context.Context, *quic.Conn) error) badInput {
	return badInput{func(ctx context.Context, w *soak.Target) error {
		conn, err := w.DialQUIC(ctx, w.DoQ, "doq")
		if err != nil {
			return err
		}
		defer conn.CloseWithError(0, "") //nolint:errcheck // the end
		if err := do(ctx, conn); err != nil {
			return err
		}
		select {
		case <-conn.Context().Done():
		case <-ctx.Done():
			return errors.New("the connection is still open")
		}
		var got *quic.ApplicationError
		if err := context.Cause(conn.Context()); !errors.As(err, &got) || got.ErrorCode != want || !got.Remote {
			return fmt.Errorf("it ended with %w, want error %d", err, want)
		}
		return nil
	}, abuseTotal}
}

// stream sends octets by a stream of its own, and ends it.
func stream(bytes []byte) func(context.Context, *quic.Conn) error {
	return func(ctx context.Context, c *quic.Conn) error {
		s, err := c.OpenStreamSync(ctx)
		if err != nil {
			return err
		}
		if _, err := s.Write(bytes); err != nil {
			return err
		}
		return s.Close()
	}
}

func badDoQ() map[string]badInput {
	const protocolError = 2 // DOQ_PROTOCOL_ERROR, RFC 9250 section 8.4
	good := soak.Frame(message(0, flagsQuery, 1, 0, 0, 0, exampleA))
	keepalive := message(0, flagsQuery, 1, 0, 0, 1, exampleA+"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0b\x00\x00")
	wrongALPN := func(ctx context.Context, w *soak.Target) error {
		for _, to := range []string{w.DoQ, w.DoH} {
			conn, err := w.DialQUIC(ctx, to, "imap")
			if err == nil {
				conn.CloseWithError(0, "") //nolint:errcheck // the end
			}
			var got *quic.TransportError
			if !errors.As(err, &got) || got.ErrorCode != 0x178 || !got.Remote { // no_application_protocol, RFC 9001 section 8.1
				return fmt.Errorf("got %w, want the alert", err)
			}
		}
		return nil
	}
	return map[string]badInput{
		"DoQ: a length of 0":             overDoQ(protocolError, stream([]byte{0, 0})),
		"DoQ: nothing":                   overDoQ(protocolError, stream(nil)),
		"DoQ: less than a header":        overDoQ(protocolError, stream([]byte("\x00\x04less"))),
		"DoQ: ends in a message":         overDoQ(protocolError, stream(good[:9])),
		"DoQ: two messages in a stream":  overDoQ(protocolError, stream(append(good[:len(good):len(good)], good...))),
		"DoQ: an ID":                     overDoQ(protocolError, stream(soak.Frame(message(7, flagsQuery, 1, 0, 0, 0, exampleA)))),
		"DoQ: a reply":                   overDoQ(protocolError, stream(soak.Frame(message(0, 0x8180, 1, 0, 0, 0, exampleA)))),
		"DoQ: asks for how long to stay": overDoQ(protocolError, stream(soak.Frame(keepalive))),
		"DoQ: a one-way stream": overDoQ(protocolError, func(ctx context.Context, c *quic.Conn) error {
			s, err := c.OpenUniStreamSync(ctx)
			if err == nil {
				_, err = s.Write(good)
			}
			return err
		}),
		"QUIC: a wrong ALPN": {wrongALPN, handshakesTotal},
	}
}

// slowInput is what does not come whole: it is closed when its time is up.
func slowInput() map[string]badInput {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	post := "POST /dns-query HTTP/1.1\r\nHost: dens.example\r\nContent-Type: application/dns-message\r\nContent-Length: 100\r\n"
	raw := func(to func(*soak.Target) string, bytes string) func(context.Context, *soak.Target) error {
		return sendsTo(to, bytes)
	}
	return map[string]badInput{
		"TCP: half a length":             {raw(toDNS, "\x00"), slowTotal},
		"TCP: a length and no more":      {raw(toDNS, "\x01\x00"), slowTotal},
		"TCP: a length that never comes": {raw(toDNS, "\xff\xffabc"), slowTotal},
		"TCP: HTTP":                      {raw(toDNS, "GET / HTTP/1.1\r\n\r\n"), slowTotal},
		"DoT: no hello":                  {raw(toDoT, ""), handshakesTotal},
		"DoT: half a hello":              {raw(toDoT, "\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03"), handshakesTotal},
		"DoT: half a message":            {overTLS(toDoT, "dot", writes("\x00\x50abc")), slowTotal},
		"DoH: no hello":                  {raw(toDoH, ""), handshakesTotal},
		"DoH: half a hello":              {raw(toDoH, "\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03"), handshakesTotal},
		"h2: half a preface":             {overTLS(toDoH, "h2", writes(preface[:10])), slowTotal},
		"h2: half a header":              {overTLS(toDoH, "h2", writes(preface+"\x00\x01\x00\x01\x05\x00\x00\x00\x01\x82")), slowTotal},
		"h1: half a header":              {overTLS(toDoH, "http/1.1", writes(post)), slowTotal},
		"h1: a body that never comes":    {overTLS(toDoH, "http/1.1", writes(post+"\r\nabc")), slowTotal},
		"h2: a body that never comes":    {lateBody("h2"), slowTotal},
		"h3: a body that never comes":    {lateBody("h3"), slowTotal},
		"QUIC: an Initial of zeros":      {silence(toDoQ, initial()), handshakesTotal},
		"DoQ: half a message":            {lateStream([]byte{0, 100, 0, 0}, 5), slowTotal},
		"DoQ: a message without its end": overDoQ(2, func(ctx context.Context, c *quic.Conn) error { // RFC 9250 section 4.2
			s, err := c.OpenStreamSync(ctx)
			if err == nil {
				_, err = s.Write(soak.Frame(message(0, flagsQuery, 1, 0, 0, 0, exampleA)))
			}
			return err
		}),
	}
}

// lateBody wants an error of the request alone, by status or by a reset stream.
func lateBody(version string) func(context.Context, *soak.Target) error {
	return func(ctx context.Context, w *soak.Target) error {
		client, end := w.HTTPS(version)
		defer end()
		body, writer := io.Pipe()
		defer writer.Close()
		go writer.Write([]byte("abc")) //nolint:errcheck // it ends with the pipe
		req, err := newPost(ctx, w, body)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return errors.New("no response")
			}
			return nil
		}
		defer resp.Body.Close()
		if resp.StatusCode != 408 {
			return fmt.Errorf("status %s, want 408", resp.Status)
		}
		return nil
	}
}

// lateStream wants a stream to be reset that is not whole, and the connection to live on.
func lateStream(bytes []byte, want quic.StreamErrorCode) func(context.Context, *soak.Target) error {
	return func(ctx context.Context, w *soak.Target) error {
		conn, err := w.DialQUIC(ctx, w.DoQ, "doq")
		if err != nil {
			return err
		}
		defer conn.CloseWithError(0, "") //nolint:errcheck // the end
		s, err := conn.OpenStreamSync(ctx)
		if err != nil {
			return err
		}
		if _, err := s.Write(bytes); err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { s.CancelRead(0) })()
		var got *quic.StreamError
		if _, err := io.ReadAll(s); !errors.As(err, &got) || !got.Remote || got.ErrorCode != want {
			return fmt.Errorf("got %w, want the stream reset with error %d", err, want)
		}
		s.CancelWrite(0)
		good, err := conn.OpenStreamSync(ctx)
		if err != nil {
			return err
		}
		if _, err := good.Write(soak.Frame(message(0, flagsQuery, 1, 0, 0, 0, exampleA))); err != nil {
			return err
		}
		good.Close()                                 //nolint:errcheck // the read says so
		good.SetReadDeadline(time.Now().Add(atOnce)) //nolint:errcheck // likewise
		reply, err := io.ReadAll(io.LimitReader(good, 1<<16))
		if m := new(dns.Msg); err != nil || len(reply) < 2 || m.Unpack(reply[2:]) != nil || len(m.Answer) != 1 {
			return fmt.Errorf("the next stream got %x, %w", reply, err)
		}
		return nil
	}
}

// encoded is a message as GET has it.
func encoded(m []byte) string { return base64.RawURLEncoding.EncodeToString(m) }

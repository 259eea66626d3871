package doh

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// Handler returns the resource for a general HTTP server: HTTP/1.1, HTTP/2 without TLS behind a proxy, HTTP/3. It
// answers at the configured path only.
func (r *Resource) Handler() http.Handler { return http.HandlerFunc(r.serveHTTP) }

func (r *Resource) serveHTTP(w http.ResponseWriter, hr *http.Request) {
	x := r.exchange()
	defer x.release()
	next := x.begin(&request{
		method:       hr.Method,
		path:         []byte(hr.URL.EscapedPath()),
		query:        []byte(hr.URL.RawQuery),
		accept:       lines(hr.Header, "Accept"),
		contentType:  []byte(hr.Header.Get("Content-Type")),
		length:       hr.ContentLength,
		forwardedFor: lines(hr.Header, "X-Forwarded-For"),
		forwarded:    lines(hr.Header, "Forwarded"),
		from:         peerOf(hr),
	}, time.Now())
	if next == stepBody {
		if err := x.readBody(hr.Body); err != nil {
			x.refuse(err)
			next = stepDone
		}
	}
	// A place is taken only now: a client that sends its body slowly, over as many streams as it likes, takes none
	// of those who have asked.
	if next != stepDone && !x.take() {
		switch {
		case !r.in.EnterStream():
			x.refuse(errBusy)
		case hr.ProtoMajor < 2: // who has sent all and closed that side may still read, though its context has ended
			x.wait()
			r.in.LeaveStream()
		default:
			x.waitFor(hr.Context())
			r.in.LeaveStream()
		}
	}
	if alt := r.conf.Load().AltSvc; alt != "" && hr.TLS != nil && hr.ProtoMajor < 3 {
		w.Header().Set("Alt-Svc", alt)
	}
	x.write(w)
}

// lines joins the lines of a field (RFC 9110 section 5.3).
func lines(h http.Header, name string) []byte {
	return []byte(strings.Join(h[textproto.CanonicalMIMEHeaderKey(name)], ", "))
}

// peerOf is the other end of the connection, IPv4 in its plain form. The zero address, when there is none, is in no
// prefix: Access refuses it.
func peerOf(hr *http.Request) wire.Peer {
	from := wire.Peer{Protocol: wire.DoH}
	if hr.ProtoMajor == 3 {
		from.Protocol = wire.DoH3
	}
	if addr, err := netip.ParseAddrPort(hr.RemoteAddr); err == nil {
		from.Addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	return from
}

// readBody reads the message of a POST (RFC 8484 section 4.1). One that does not fit what is pooled needs a place
// among the large requests.
func (x *exchange) readBody(body io.Reader) *refusal {
	n := 0
	for n < len(x.room) { // not io.ReadFull, which does not tell a short body from one that was cut off
		m, err := body.Read(x.room[n:])
		n += m
		if errors.Is(err, io.EOF) {
			x.q.Msg = x.room[:n]
			return nil
		}
		if err != nil {
			return cutShort(err)
		}
	}
	if !x.r.in.EnterLarge() {
		return errBusy
	}
	x.large = true
	rest, err := io.ReadAll(io.LimitReader(body, maxMessage-intake.MaxSmall+1))
	if err != nil {
		return cutShort(err)
	}
	if len(rest) > maxMessage-intake.MaxSmall {
		return errTooLong
	}
	x.q.Msg = append(append(make([]byte, 0, n+len(rest)), x.room[:]...), rest...)
	return nil
}

// cutShort says why a body did not come whole.
func cutShort(err error) *refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlow
	}
	return errBody
}

// write sends the response.
func (x *exchange) write(w http.ResponseWriter) {
	h, out := w.Header(), &x.response
	for _, list := range [...][]pair{fieldsAll, out.extra} {
		for _, f := range list {
			h.Set(f.name, f.value)
		}
	}
	if out.maxAge >= 0 {
		h.Set("Cache-Control", "max-age="+strconv.FormatInt(out.maxAge, 10))
	}
	if out.contentType != "" {
		h.Set("Content-Type", out.contentType)
		h.Set("Content-Length", strconv.Itoa(len(out.body)))
	}
	w.WriteHeader(out.status)
	if x.bodyless || len(out.body) == 0 {
		return
	}
	if _, err := w.Write(out.body); err != nil {
		x.r.in.Conf().Stats.WriteErrors.Add(1)
	}
}

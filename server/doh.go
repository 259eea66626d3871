package server

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"

	"dens/internal/wire"
)

const (
	typeMessage = "application/dns-message"
	typeJSON    = "application/dns-json"
)

// DoH returns the DNS over HTTPS resource (RFC 8484) as a handler, for a listener that somebody else
// owns. It answers at the configured path only, and takes the connection's address for the client's.
func (s *Server) DoH() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	conf := s.conf.Load()
	defer s.recoverHTTP(w)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if r.URL.Path != conf.Path {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	case http.MethodOptions:
		// A page's POST of a DNS message asks first (Fetch standard, CORS preflight).
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type, Accept")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, POST, OPTIONS")
		http.Error(w, "use GET or POST", http.StatusMethodNotAllowed)
		return
	}
	s.serveQuery(w, r, conf)
}

func (s *Server) serveQuery(w http.ResponseWriter, r *http.Request, conf *Config) {
	q, err := s.readQuery(r, conf)
	if err != nil {
		s.fail(w, err)
		return
	}
	if q.large {
		defer s.in.LeaveLarge()
	}
	// Only now: a client that sends its body slowly, over as many streams as it likes, takes no place
	// of those who have asked.
	if !s.in.EnterStream() {
		s.fail(w, &httpError{http.StatusServiceUnavailable, "too many requests under way"})
		return
	}
	defer s.in.LeaveStream()
	m := s.messages.Get().(*message)
	defer s.messages.Put(m)
	reply := s.answer(q.msg, httpPeer(r), m.reply[:0])
	if len(reply) == 0 {
		http.Error(w, "the message deserves no reply", http.StatusBadRequest)
		return
	}
	h, body := w.Header(), reply
	h.Set("Content-Type", typeMessage)
	if q.json {
		if body, err = conf.JSON.Reply(reply); err != nil {
			s.in.Conf().Log.Error("a reply has no JSON form", "error", err)
			http.Error(w, "the reply has no JSON form", http.StatusInternalServerError)
			return
		}
		h.Set("Content-Type", typeJSON)
	}
	if q.named {
		h.Set("Vary", "Accept")
	}
	h.Set("Cache-Control", "max-age="+strconv.FormatUint(uint64(wire.Freshness(reply)), 10))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		s.in.Conf().Stats.WriteErrors.Add(1)
	}
}

// recoverHTTP is for panics outside the Handler: of the JSONCodec.
func (s *Server) recoverHTTP(w http.ResponseWriter) {
	if cause := recover(); cause != nil {
		s.in.LogPanic(cause)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// httpError is a request that is not answered: a status code and a text for the client.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

func (s *Server) fail(w http.ResponseWriter, err error) {
	he := &httpError{http.StatusBadRequest, "bad request"}
	errors.As(err, &he)
	if he.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	} else {
		s.in.Conf().Stats.Malformed.Add(1)
	}
	http.Error(w, he.text, he.status)
}

// httpPeer is the other end of the connection. What headers say of a client anyone can write.
func httpPeer(r *http.Request) wire.Peer {
	from := wire.Peer{Protocol: wire.DoH} // the zero address is in no prefix: Access refuses it
	if r.ProtoMajor == 3 {
		from.Protocol = wire.DoH3
	}
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from.Addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	return from
}

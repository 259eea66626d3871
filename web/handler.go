package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// New returns the handler of all resources: /healthz, /readyz, /metrics, the page at /, and DNS over
// HTTPS at its path.
func New(conf Config) http.Handler {
	conf = conf.withDefaults()
	h := &handler{conf: conf, tmpl: parsePage()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.Handle("GET /readyz", h.guard(h.readyz))
	mux.Handle("GET /{$}", h.guard(h.page))
	if conf.Gatherer != nil {
		metrics := promhttp.HandlerFor(conf.Gatherer, promhttp.HandlerOpts{
			ErrorHandling:       promhttp.ContinueOnError, // one bad series must not hide the others
			MaxRequestsInFlight: 4,
			Timeout:             10 * time.Second,
		})
		mux.Handle("GET /metrics", h.guard(metrics.ServeHTTP))
	}
	return headers(withDoH(conf, mux))
}

// withDoH puts DNS over HTTPS before all other resources, at a path that a reload may change.
func withDoH(conf Config, others http.Handler) http.Handler {
	if conf.DoH == nil {
		return others
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == conf.DoHPath() {
			conf.DoH.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

type handler struct {
	conf Config
	tmpl *template.Template
}

// headers keeps everything from being framed, sniffed, cached or given the right to load anything.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pagePolicy lets the page have its own style and nothing else.
func pagePolicy() string {
	sum := sha256.Sum256([]byte(style))
	return policy + "; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// guard lets in whom Config.Allow does.
func (h *handler) guard(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !h.conf.Allow(addr.Addr().Unmap()) {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		next(w, r)
	})
}

// healthz says that the process is alive, and nothing else: whoever restarts it on failure must not do
// so when only the network is down.
func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// Words for the whole, by its parts.
const (
	statusReady    = "ready"    // all parts are, as they should be
	statusDegraded = "degraded" // some are, or not as they should be: dens answers what it can
	statusUnready  = "unready"  // none is
)

func overall(parts []Part) string {
	ready, well := 0, 0
	for _, p := range parts {
		if p.Ready && !p.Aside {
			ready++
		}
		if p.Ready && !p.Degraded {
			well++
		}
	}
	switch {
	case ready == 0:
		return statusUnready
	case well == len(parts):
		return statusReady
	default:
		return statusDegraded
	}
}

// readyz is 200 as soon as one part can answer, and tells of all.
func (h *handler) readyz(w http.ResponseWriter, _ *http.Request) {
	parts := h.conf.Ready()
	body := struct {
		Status string `json:"status"`
		Parts  []Part `json:"parts"`
	}{overall(parts), append([]Part{}, parts...)}
	b, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if body.Status == statusUnready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(b, '\n'))
}

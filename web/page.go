package web

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.css
var style string

//go:embed page.html
var pageText string

// parsePage parses the embedded page, which a test has parsed before.
func parsePage() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{"millis": millis, "seconds": seconds}).Parse(pageText))
}

// pageData is what the page shows.
type pageData struct {
	Version string
	Started time.Time
	Style   template.CSS
	Overall string
	Parts   []Part
	Status  Status
	Totals  Totals
}

// HitRate is the share of queries that the cache answered.
func (p pageData) HitRate() string {
	if p.Totals.Queries == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(p.Totals.Hits+p.Totals.Stale)/float64(p.Totals.Queries))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func seconds(d time.Duration) string {
	if d > 365*24*time.Hour {
		return "never" // it stands for no bound
	}
	return d.Round(time.Second).String()
}

func (h *handler) page(w http.ResponseWriter, _ *http.Request) {
	parts := h.conf.Ready()
	data := pageData{
		Version: h.conf.Version,
		Started: h.conf.Started,
		Style:   template.CSS(style),
		Overall: overall(parts),
		Parts:   parts,
		Status:  h.conf.Status(),
	}
	if h.conf.Metrics != nil {
		data.Totals = h.conf.Metrics.Totals()
	}
	var b bytes.Buffer
	if err := h.tmpl.Execute(&b, data); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy())
	_, _ = w.Write(b.Bytes())
}

package doh

import (
	"bytes"
	"maps"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"dens/server/intake"
)

// TestSameByBoth: the lean HTTP/2 and net/http answer a request alike, in status, fields and body.
func TestSameByBoth(t *testing.T) {
	q := packed(t, question("www.example"))
	get := "/dns-query?dns=" + b64(q)
	message := []string{"content-type", typeMessage}
	tests := []struct {
		name, method, target string
		fields               []string
		body                 []byte
	}{
		{"GET", "GET", get, nil, nil},
		{"GET with a body", "GET", get, nil, []byte("body")},
		{"HEAD", "HEAD", get, nil, nil},
		{"HEAD of an error", "HEAD", "/dns-query", nil, nil},
		{"HEAD elsewhere", "HEAD", "/", nil, nil},
		{"POST", "POST", "/dns-query", message, q},
		{"POST, with a query string", "POST", get + "x", message, q},
		{"POST, long", "POST", "/dns-query", message, append(q, make([]byte, 5000)...)},
		{"POST, too long", "POST", "/dns-query", message, make([]byte, 65536)},
		{"POST, empty", "POST", "/dns-query", message, nil},
		{"POST, no DNS", "POST", "/dns-query", message, []byte("no")},
		{"POST, parameters", "POST", "/dns-query", []string{"content-type", "Application/DNS-Message; a=b"}, q},
		{"POST, bad type", "POST", "/dns-query", []string{"content-type", "application/dns-message;;="}, q},
		{"POST, no type", "POST", "/dns-query", nil, q},
		{"OPTIONS", "OPTIONS", "/dns-query", nil, nil},
		{"OPTIONS elsewhere", "OPTIONS", "/", nil, nil},
		{"PUT", "PUT", "/dns-query", message, q},
		{"a method of its own", "get", get, nil, nil},
		{"JSON", "GET", "/dns-query?name=www.example", nil, nil},
		{"JSON, accepted", "GET", "/dns-query?name=www.example", []string{"accept", "text/html", "accept", typeMessage}, nil},
		{"JSON, bad", "GET", "/dns-query?name=", nil, nil},
		{"JSON panics", "GET", "/dns-query?name=odd.example", nil, nil},
		{"bad ct", "GET", "/dns-query?name=www.example&ct=x", nil, nil},
		{"escaped path", "GET", "/dns%2Dquery?dns=" + b64(q), nil, nil},
		{"escaped slash", "GET", "/x%2Fdns-query", nil, nil},
		{"two slashes", "GET", "/" + get, nil, nil},
		{"dots", "GET", "/x/.." + get, nil, nil},
		{"a slash behind", "GET", "/dns-query/?dns=" + b64(q), nil, nil},
		{"semicolon", "GET", get + ";x=y", nil, nil},
		{"plus", "GET", "/dns-query?dns=+" + b64(q), nil, nil},
		{"bad escape", "GET", "/dns-query?dns=%", nil, nil},
		{"two", "GET", get + "&dns=", nil, nil},
		{"more", "GET", get + "&x=y", nil, nil},
		{"no DNS", "GET", "/dns-query?dns=AAAA", nil, nil},
		{"silence", "GET", "/dns-query?dns=" + b64(packed(t, question("silent"))), nil, nil},
		{"panic", "GET", "/dns-query?dns=" + b64(packed(t, question("panic"))), nil, nil},
		{"miss", "GET", "/dns-query?dns=" + b64(packed(t, question("late"))), nil, nil},
		{"client", "GET", get, []string{"x-forwarded-for", "203.0.113.7"}, nil},
		{"client, on lines", "GET", get, []string{"x-forwarded-for", "203.0.113.7", "x-forwarded-for", "[2001:db8::1]:443"}, nil},
		{"client, obscured", "GET", get, []string{"forwarded", "for=_x;proto=https"}, nil},
		{"clients", "GET", get, []string{"x-forwarded-for", "203.0.113.7", "forwarded", "for=203.0.113.8"}, nil},
		{"no clients", "GET", get, []string{"x-forwarded-for", strings.Repeat(",", 10000)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, intake.Config{}, newActor()).greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
			lean := byHTTP2(p, tt.method, tt.target, tt.fields, tt.body)
			general := byHandler(p.res, tt.method, tt.target, tt.fields, tt.body)
			if lean.status != general.status || !bytes.Equal(lean.body, general.body) || !maps.Equal(lean.fields, general.fields) {
				t.Errorf("lean: %s %v %q\nnet/http: %s %v %q", lean.status, lean.fields, lean.body, general.status, general.fields, general.body)
			}
		})
	}
}

// byHTTP2 asks the Session.
func byHTTP2(p *peer, method, target string, fields []string, body []byte) *answer {
	p.t.Helper()
	if body != nil {
		fields = append([]string{"content-length", strconv.Itoa(len(body))}, fields...)
	}
	p.headers(1, body == nil, fieldsOf(method, target, fields...)...)
	for rest := body; rest != nil; {
		n := min(len(rest), 16000)
		p.must(p.framer.WriteData(1, n == len(rest), rest[:n]))
		if rest = rest[n:]; len(rest) == 0 {
			rest = nil
		}
		p.send()
	}
	p.send()
	var r *replies
	for r = p.replies(); r.streams[1] == nil; r = p.replies() {
		if p.err != nil {
			p.t.Fatal(p.err)
		}
	}
	a := r.streams[1]
	delete(a.fields, "date")
	return a
}

// byHandler asks the http.Handler by HTTP/1.1.
func byHandler(res *Resource, method, target string, fields []string, body []byte) *answer {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.RemoteAddr = netip.MustParseAddrPort("192.0.2.77:4711").String()
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	res.Handler().ServeHTTP(w, r)
	a := &answer{status: strconv.Itoa(w.Code), fields: make(map[string]string), body: w.Body.Bytes()}
	for k, v := range w.Header() {
		a.fields[strings.ToLower(k)] = strings.Join(v, ", ")
	}
	return a
}

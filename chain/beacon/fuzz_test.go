package beacon

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzSafe: whatever an endpoint says, what is shown is short, one line, printable, and free of the key.
func FuzzSafe(f *testing.F) {
	f.Add("GET https://x.example/v2/0123456789abcdef failed", "0123456789abcdef")
	f.Add("\x1b[31m\u202e\xff\n", "secretsecret")
	f.Add(strings.Repeat("0123456789abcdef", 500), "0123456789abcdef")
	f.Fuzz(func(t *testing.T, text, key string) {
		if len(key) < 6 || len(key) > 100 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return
		}
		addr, err := parseAddress("https://" + key + ":" + key + "@host.example/v2/" + key + "?key=" + key)
		if err != nil {
			t.Fatal(err)
		}
		shown := addr.safe(text + key + text)
		if strings.Contains(shown, key) && !strings.Contains("***...", key) {
			t.Errorf("%q shows %q", shown, key)
		}
		if len(shown) > maxText || !utf8.ValidString(shown) || strings.ContainsFunc(shown, unicode.IsControl) {
			t.Errorf("not fit to be shown: %q", shown)
		}
	})
}

// FuzzErrorBody: the body of an error makes a text of bounded length, or none.
func FuzzErrorBody(f *testing.F) {
	f.Add([]byte(`{"code":404,"message":"not found"}`), 404)
	f.Add([]byte(`<html>`), 502)
	f.Add([]byte(strings.Repeat(`{"message":`, 1000)), 500)
	addr, err := parseAddress("https://host.example/key-0123")
	if err != nil {
		f.Fatal(err)
	}
	c := newClient(f.Context(), addr, nil, time.Second)
	f.Fuzz(func(t *testing.T, body []byte, code int) {
		rec := httptest.NewRecorder()
		_, _ = rec.Write(body)
		res := rec.Result()
		res.StatusCode = code
		err := c.statusFailure(res)
		text := err.Error()
		if len(text) > maxText || strings.Contains(text, "key-0123") || !utf8.ValidString(text) || isKind(err, absent) != (code == 404) {
			t.Errorf("%q", text)
		}
	})
}

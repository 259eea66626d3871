package doh

import "testing"

// TestNode has the forms of a node that RFC 7239 section 6 has, and those of X-Forwarded-For.
func TestNode(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.43":             "192.0.2.43",
		"192.0.2.43:47011":       "192.0.2.43",
		"192.0.2.43:_obscured.1": "192.0.2.43",
		"[2001:db8::17]":         "2001:db8::17",
		"[2001:db8::17]:4711":    "2001:db8::17",
		"[2001:db8::17]:_x":      "2001:db8::17",
		"2001:db8::17":           "2001:db8::17",
		"::ffff:192.0.2.43":      "192.0.2.43",
		"fe80::1%eth0":           "fe80::1",
		"2001:db8::17:_x":        "invalid IP",
		"_gazonk":                "invalid IP",
		"_gazonk:_x":             "invalid IP",
		"unknown":                "invalid IP",
		"unknown:_x":             "invalid IP",
		"192.0.2.43:99999":       "invalid IP",
		"":                       "invalid IP",
	} {
		if got := node(text); got.String() != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

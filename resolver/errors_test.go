package resolver

import (
	"errors"
	"testing"
)

// TestErrorText has errors say what they wrap once, also where the text for the client is cut.
func TestErrorText(t *testing.T) {
	for _, tt := range []struct{ text, cause, want string }{
		{"chain unreachable", "connection refused", "chain unreachable: connection refused"},
		{"chain unreachable: connection refused", "connection refused", "chain unreachable: connection refused"},
		{"not synced: alice.eth.: no endpoint has the ch", "alice.eth.: no endpoint has the checkpoint", "not synced: alice.eth.: no endpoint has the checkpoint"},
		{"not found: a", "alice.eth.: no block", "not found: a: alice.eth.: no block"},
		{"", "no block", ": no block"},
	} {
		if got := (&Error{Text: tt.text, Err: errors.New(tt.cause)}).Error(); got != tt.want {
			t.Errorf("%q and %q: got %q, want %q", tt.text, tt.cause, got, tt.want)
		}
	}
	if got := (&Error{Text: "alone"}).Error(); got != "alone" {
		t.Errorf("got %q", got)
	}
}

package configs

import (
	"fmt"
	"log/slog"
	"strings"
)

// Secret is a text that may hold what an environment variable held. It prints, logs and marshals as it
// stands in the file ("${NAME}"); Reveal returns the text itself.
type Secret struct {
	value string
	shown string
}

// NewSecret returns a Secret that holds value and prints as shown.
func NewSecret(value, shown string) Secret { return Secret{value: value, shown: shown} }

// Reveal returns the text. It must not reach a log, an error or a status.
func (s Secret) Reveal() string { return s.value }

// String returns the text as the file has it.
func (s Secret) String() string { return s.shown }

// Format keeps every verb of fmt from seeing the text.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.shown) }

// MarshalText returns the text as the file has it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// LogValue returns the text as the file has it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.shown) }

// redactURL returns raw, the unexpanded text of a URL, without what may be a key: user, path, query.
// The paths that everyone has are kept.
func redactURL(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		if i := strings.IndexAny(raw, "/?#@"); i >= 0 && !strings.HasPrefix(raw, "/") {
			return raw[:i] + "/..."
		}
		return raw
	}
	host, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, tail = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	switch tail {
	case "", "/", "/dns-query":
	default:
		tail = "/..."
	}
	return scheme + "://" + host + tail
}

// rawHost returns the host and port that a URL's text names, "" when it names none.
func rawHost(raw string) string {
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

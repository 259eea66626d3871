package ccip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// maxMessage is the longest body of a refusal that is looked at for a message.
const maxMessage = 4 << 10

// statusError is a gateway's refusal, with its own message made harmless.
type statusError struct {
	code    int
	message string
}

func newStatusError(code int, body []byte) *statusError {
	var answer struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	text := http.StatusText(code)
	if len(body) <= maxMessage && json.Unmarshal(body, &answer) == nil {
		var inner string
		if answer.Message == "" && json.Unmarshal(answer.Error, &inner) == nil {
			answer.Message = inner
		}
		if answer.Message != "" {
			text = answer.Message
		}
	}
	return &statusError{code: code, message: clean(text)}
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.message) }

// gatewayError says which gateway failed and why, without its URL.
type gatewayError struct {
	host string
	text string
	err  error
}

func (e *gatewayError) Error() string { return "gateway " + e.host + ": " + e.text }

func (e *gatewayError) Unwrap() error { return e.err }

// hostError wraps err under the name of a gateway. Errors of net/http quote URLs; these are left out.
func hostError(host string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var timeout net.Error
	text := clean(err.Error())
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		text = "no answer in time"
	}
	return &gatewayError{host: host, text: text, err: err}
}

// clean returns text that may go into a log or an answer: printable ASCII on one line, no URLs, at most
// 200 bytes.
func clean(text string) string {
	const most = 200
	if len(text) > 4*most {
		text = text[:4*most]
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, text)
	text = urls.ReplaceAllString(text, "(URL)") // after the characters, which may make a URL of what was none
	return text[:min(len(text), most)]
}

var urls = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"'<>]*`)

package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
	"dens/chain/internal/reason"
)

// failure is an error of this package's own words about a foreign error: the text is safe to show, the
// kind is what callers branch on. The foreign error itself is not wrapped, since it may hold the URL.
type failure struct {
	kind error // one of package chain's, or errRateLimited
	text string
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.kind }

// explain turns any error of a request into one that may be shown. It never returns an error that
// wraps what net/http or the RPC client made.
func (a address) explain(err error) error {
	var status *statusError
	if errors.As(err, &status) {
		if status.code == 429 || status.code == 503 && status.retryAfter > 0 {
			return &failure{kind: errRateLimited, text: a.clean(status.Error())}
		}
		return &failure{kind: chain.ErrUnavailable, text: a.clean(status.Error())}
	}
	var answered rpc.Error
	if errors.As(err, &answered) && isRate(answered.ErrorCode(), strings.ToLower(answered.Error())) {
		return &failure{kind: errRateLimited, text: a.clean("rate limited: " + answered.Error())}
	}
	for _, kind := range []error{chain.ErrWrongChain, chain.ErrUnknownBlock, chain.ErrLimit, chain.ErrMalformed, errRateLimited} {
		if errors.Is(err, kind) {
			return &failure{kind: kind, text: a.clean(plain(err))}
		}
	}
	return &failure{kind: kindOf(err), text: a.clean(plain(err))}
}

// kindOf sorts transport errors.
func kindOf(err error) error {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return chain.ErrTimeout
	}
	return chain.ErrUnavailable
}

// plain says in few words what went wrong, without addresses.
func plain(err error) string {
	if errors.Is(err, rpc.ErrClientQuit) {
		return "connection closed"
	}
	text, _ := reason.Of(err)
	return text
}

// clean makes a text safe: secrets out first, since cutting could leave half of one.
func (a address) clean(text string) string { return cut(a.redact(text)) }

func wrongChain(got, want uint64) error {
	return fmt.Errorf("%w: %d, not %d", chain.ErrWrongChain, got, want)
}

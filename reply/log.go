package reply

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/time/rate"

	"dens/resolver"
)

// failureLog logs failed resolutions. While a backend is down there is one with every question, so that
// only some lines a second are written, and the next one says how many were not.
type failureLog struct {
	log     *slog.Logger
	limit   *rate.Limiter
	skipped atomic.Int64
}

// Lines a second in the long run, and at once.
const (
	logRate  = 1
	logBurst = 10
)

func newFailureLog(log *slog.Logger) *failureLog {
	return &failureLog{log: log, limit: rate.NewLimiter(logRate, logBurst)}
}

func (l *failureLog) report(ctx context.Context, now time.Time, q resolver.Query, v verdict, err error) {
	level := slog.LevelWarn
	if v.rcode != dns.RcodeServerFailure || v.fleeting {
		level = slog.LevelDebug // refused by policy, or nobody waits any more
	}
	if !l.log.Enabled(ctx, level) {
		return
	}
	if !l.limit.AllowN(now, 1) {
		l.skipped.Add(1)
		return
	}
	attrs := []slog.Attr{
		slog.String("name", q.Name), slog.String("type", TypeName(q.Type)),
		slog.String("rcode", dns.RcodeToString[v.rcode]), slog.Any("err", err),
	}
	if v.hasEDE {
		attrs = append(attrs, slog.Int("ede", int(v.ede.Code)))
	}
	if n := l.skipped.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("not_logged", n))
	}
	l.log.LogAttrs(ctx, level, "question could not be answered", attrs...)
}

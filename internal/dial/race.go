package dial

import (
	"context"
	"net"
	"net/netip"
	"time"
)

type attempt struct {
	conn net.Conn
	err  error
}

// race tries the addresses one after the other, the next when the one before failed or has taken longer
// than Stagger, and returns the first connection. Later ones are closed.
func (d *Dialer) race(ctx context.Context, network string, addrs []netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan attempt) // not buffered: who finds nobody waiting closes his connection
	start := func(a netip.Addr) {
		conn, err := d.try(ctx, network, netip.AddrPortFrom(a, port))
		select {
		case results <- attempt{conn, err}:
		case <-ctx.Done():
			if conn != nil {
				conn.Close()
			}
		}
	}
	next := time.NewTimer(0)
	defer next.Stop()
	var last error
	for started, ended := 0, 0; ended < len(addrs); {
		select {
		case <-next.C:
			if started < len(addrs) {
				go start(addrs[started])
				started++
				next.Reset(d.cfg.Stagger)
			}
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			last = r.err
			ended++
			next.Reset(0)
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return nil, last
		}
	}
	return nil, last
}

func (d *Dialer) try(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Attempt)
	defer cancel()
	return d.dial(ctx, network, to.String())
}

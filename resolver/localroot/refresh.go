package localroot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"
)

// Bounds of what a zone's SOA may ask for.
const (
	maxRefresh = 24 * time.Hour
	maxRetry   = time.Hour
)

// Run loads a copy, and keeps it fresh until ctx ends.
func (z *Zone) Run(ctx context.Context) {
	z.begin()
	for failures := 0; ctx.Err() == nil; {
		err := z.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failures++
			z.cfg.Log.Warn("local root zone not refreshed", "err", err, "ready", z.Ready())
		} else {
			failures = 0
		}
		timer := time.NewTimer(z.schedule(err, failures))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// begin takes what is on disk. The newer of the copies stays.
func (z *Zone) begin() {
	for _, path := range []string{z.cfg.Cache, z.cfg.File} {
		if path == "" {
			continue
		}
		if err := z.load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			z.cfg.Log.Warn("local root zone not loaded", "err", err)
		}
	}
}

// schedule returns how long to wait until the next refresh (RFC 1034 section 4.3.5).
func (z *Zone) schedule(err error, failures int) time.Duration {
	var wait time.Duration
	c := z.usable()
	switch {
	case c == nil: // the more it is needed, the sooner; but nobody is to be flooded
		wait = min(z.cfg.MinRetry<<min(max(failures-1, 0), 16), maxRetry)
	case err == nil:
		wait = min(time.Duration(c.soa.Refresh)*time.Second, maxRefresh)
	default:
		wait = min(time.Duration(c.soa.Retry)*time.Second, maxRetry)
	}
	wait = max(wait, z.cfg.MinRetry)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.err, z.next = err, z.cfg.Now().Add(wait)
	return wait
}

// refresh gets the newest copy there is: from the first server that has one, or from the file.
func (z *Zone) refresh(ctx context.Context) error {
	if len(z.cfg.Servers) == 0 {
		return z.reload()
	}
	var all []error
	for i := range z.cfg.Servers {
		n := (z.first + i) % len(z.cfg.Servers)
		err := z.refreshFrom(ctx, z.cfg.Servers[n])
		if err == nil {
			z.first = n
			return nil
		}
		all = append(all, fmt.Errorf("%s: %w", z.cfg.Servers[n], err))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(all...)
}

func (z *Zone) refreshFrom(ctx context.Context, server netip.AddrPort) error {
	now, have := z.cfg.Now(), z.usable()
	rrs, err := z.fetch(ctx, server, have)
	if err != nil {
		return err
	}
	if rrs == nil {
		z.confirm(have, now)
		err = z.touch()
	} else {
		if err := z.install(rrs, now); err != nil {
			return err
		}
		err = z.keep(rrs)
	}
	if err != nil { // no reason not to use it
		z.cfg.Log.Warn("local root zone cannot be kept on disk", "err", err)
	}
	return nil
}

// reload reads the file again if it was written since.
func (z *Zone) reload() error {
	info, err := os.Stat(z.cfg.File)
	if err != nil {
		return err
	}
	if c := z.usable(); c != nil && !info.ModTime().After(c.checked) {
		return nil
	}
	return z.load(z.cfg.File)
}

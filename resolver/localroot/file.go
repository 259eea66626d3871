package localroot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"
)

// parseZone reads a master file (RFC 1035 section 5). Errors name the line.
func parseZone(r io.Reader) ([]dns.RR, error) { return parseBounded(r, maxRecords, maxBytes) }

// parseBounded is parseZone with bounds of its own. One line can stand for many records ($GENERATE), so both
// text and records are bounded.
func parseBounded(r io.Reader, maxRecords, maxBytes int) ([]dns.RR, error) {
	limited := &io.LimitedReader{R: r, N: int64(maxBytes) + 1}
	zp := dns.NewZoneParser(limited, apex, "")
	var rrs []dns.RR
	bytes := 0
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		bytes += dns.Len(rr)
		if len(rrs) >= maxRecords || bytes > maxBytes {
			return nil, errTooLarge(maxRecords, maxBytes)
		}
		rrs = append(rrs, rr)
	}
	if limited.N == 0 {
		return nil, errTooLarge(maxRecords, maxBytes)
	}
	if err := zp.Err(); err != nil {
		return nil, fmt.Errorf("not a master file: %w", err)
	}
	return rrs, nil
}

// readFile reads a zone from disk, and when the file was written.
func readFile(path string) ([]dns.RR, time.Time, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	rrs, err := parseZone(f)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%s: %w", path, err)
	}
	return rrs, info.ModTime(), nil
}

// load puts a file into use. It is as old as its time stamp says, so that a file that nobody renews expires
// as the zone's SOA wants.
func (z *Zone) load(path string) error {
	rrs, written, err := readFile(path)
	if err != nil {
		return err
	}
	if now := z.cfg.Now(); written.After(now) {
		written = now
	}
	if err := z.install(rrs, written); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// keep writes the copy to the cache file, in one step.
func (z *Zone) keep(rrs []dns.RR) error {
	if z.cfg.Cache == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(z.cfg.Cache), "."+filepath.Base(z.cfg.Cache)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when all goes well: it has another name then
	w := bufio.NewWriter(f)
	for _, rr := range rrs {
		w.WriteString(rr.String())
		w.WriteByte('\n')
	}
	if err := errors.Join(w.Flush(), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), z.cfg.Cache); err != nil {
		return err
	}
	return z.touch()
}

// touch gives the cache file the time at which its content was known to be the newest.
func (z *Zone) touch() error {
	if z.cfg.Cache == "" {
		return nil
	}
	now := z.cfg.Now()
	return os.Chtimes(z.cfg.Cache, now, now)
}

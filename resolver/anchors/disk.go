package anchors

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// readState reads the state file. One that is not there is a fresh start.
func readState(path string) ([]point, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("trust anchor state: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("trust anchor state %s is not a file; expected a file, or nothing yet in a directory that can be written to", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, fmt.Errorf("trust anchor state: %w", err)
	}
	points, err := parseState(text)
	if err != nil {
		return nil, fmt.Errorf("trust anchor state %s: %w; restore the file from a backup, or move it away to begin again with the configured anchors", path, err)
	}
	return points, nil
}

// writeState replaces the state file in one step: after a crash there is the old one or the new one.
func writeState(path string, points []point) (err error) {
	text := formatState(points)
	if len(text) > maxState || len(points) > maxStateZones {
		return fmt.Errorf("trust anchor state %s: too large: %d zones in %d bytes", path, len(points), len(text))
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("trust anchor state %s: the directory %s does not exist; make it, writable for dens", path, dir)
	}
	if err != nil {
		return fmt.Errorf("trust anchor state %s: %w; dens must be able to write to the directory %s", path, err, dir)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("trust anchor state %s: %w", path, err)
		}
	}()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename last. Some file systems cannot sync a directory, which is no reason to fail.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}

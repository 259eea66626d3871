package beacon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"dens/chain/light"
)

// maxState bounds the state file in bytes. Two committees of 512 are some 100 KiB.
const maxState = 1 << 20

// restore begins with what the state file holds, if it belongs to this network and checkpoint. Anything
// else is logged and ignored: the checkpoint is still there to begin with.
func (c *Client) restore() {
	if c.cfg.State == "" {
		return
	}
	store, err := readState(c.cfg.State, c.cfg.Network)
	if err == nil {
		if root, _ := store.Checkpoint(); root != c.cfg.Checkpoint {
			err = fmt.Errorf("it began at another checkpoint, %s", root.Hex())
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		c.cfg.Log.Warn("light client's state is not used, it begins at the checkpoint", slog.String("file", c.cfg.State),
			slog.String("reason", err.Error()))
		return
	}
	c.core.Lock()
	c.store = store
	c.publish("")
	c.dirty = false
	c.core.Unlock()
	c.mu.Lock()
	c.view.restored = true
	c.mu.Unlock()
	c.logStart("the state file")
}

// readState reads a Store of network n.
func readState(path string, n *light.Network) (*light.Store, error) {
	info, err := os.Stat(path) // before it is opened: to open a pipe may take for ever
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxState {
		return nil, fmt.Errorf("it is longer than %d bytes", maxState)
	}
	return light.UnmarshalStore(n, data)
}

// takeDirty says whether the state should be written, and forgets it.
func (c *Client) takeDirty() bool {
	c.core.Lock()
	defer c.core.Unlock()
	dirty := c.dirty
	c.dirty = false
	return dirty
}

// save writes the state file, if there is anything new. What goes wrong is logged once.
func (c *Client) save(s *schedule) {
	if c.cfg.State == "" || c.cfg.ReadOnly || !c.hasStore() {
		return
	}
	c.core.Lock()
	data, err := c.store.MarshalBinary()
	c.core.Unlock()
	if err == nil && bytes.Equal(data, s.saved) {
		return
	}
	if err == nil {
		err = writeState(c.cfg.State, data)
	}
	if err == nil {
		s.saved, s.saveFailed = data, false
		return
	}
	if !s.saveFailed {
		s.saveFailed = true
		c.cfg.Log.Warn("light client's state cannot be written: a restart will begin at the checkpoint", slog.String("file", c.cfg.State),
			slog.String("reason", err.Error()))
	}
}

// writeState replaces the file in one step: after a crash there is the old one or the new one.
func writeState(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if d, err := os.Open(dir); err == nil { // makes the rename last; some file systems cannot
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

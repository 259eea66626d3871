package verify

import (
	"cmp"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"dens/chain/proof"
)

// Bounds of the contracts' code that is kept.
const (
	maxCode      = 256 << 10 // bytes of one contract, above all forks' limits
	maxCodes     = 4096      // contracts in memory
	maxCodeBytes = 64 << 20  // in memory
	maxCodeDisk  = 256 << 20 // on disk; above, what was not used for longest goes
	diskBlock    = 4 << 10   // what a file takes at least
	maxIndex     = 2 << 20   // of which contract has which code
)

// codeStore keeps contracts' code by its hash: the hash is all the proof that it needs, for ever. Several
// stores may share a directory.
type codeStore struct {
	dir string
	log *slog.Logger
	max int64 // bytes on disk

	mu    sync.Mutex
	codes *lru.LRU[common.Hash, []byte]
	held  int64

	files  sync.Mutex // guards what follows, and is held while the directory changes
	disk   int64      // bytes on disk, about
	failed bool       // the last write did; it was said
}

// temporary begins the names of files that are being written.
const temporary = ".new-"

func newCodeStore(dir string, log *slog.Logger) (*codeStore, error) {
	s := &codeStore{dir: dir, log: log, max: maxCodeDisk}
	var err error
	if s.codes, err = lru.NewLRU(maxCodes, func(_ common.Hash, code []byte) { s.held -= int64(len(code)) }); err != nil {
		return nil, err
	}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory for contracts' code: %w", err)
	}
	if err := s.prune(); err != nil {
		return nil, fmt.Errorf("directory for contracts' code: %w", err)
	}
	return s, nil
}

// has says whether code is in memory.
func (s *codeStore) has(hash common.Hash) bool {
	if hash == types.EmptyCodeHash {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes.Contains(hash)
}

// get returns the code of that hash, or nil when it is not known.
func (s *codeStore) get(hash common.Hash) []byte {
	if hash == types.EmptyCodeHash {
		return []byte{}
	}
	s.mu.Lock()
	code, ok := s.codes.Get(hash)
	s.mu.Unlock()
	if ok || s.dir == "" || hash == (common.Hash{}) {
		return code
	}
	path := filepath.Join(s.dir, hash.Hex())
	if info, err := os.Stat(path); err != nil || info.Size() > maxCode {
		return nil
	}
	code, err := os.ReadFile(path)
	if err != nil || proof.VerifyCode(hash, code) != nil {
		return nil // it will be fetched, and written, anew
	}
	s.keep(hash, code)
	now := time.Now()
	_ = os.Chtimes(path, now, now) // it is used: else it may go a little early
	return code
}

// put keeps code whose hash was checked.
func (s *codeStore) put(hash common.Hash, code []byte) {
	if len(code) == 0 || !s.keep(hash, code) || s.dir == "" {
		return
	}
	s.files.Lock()
	defer s.files.Unlock()
	s.disk += onDisk(int64(len(code)))
	err := write(s.dir, hash.Hex(), code)
	if err == nil && s.disk > s.max {
		err = s.prune()
	}
	s.say(err)
}

// say logs that writing failed, once until it works again.
func (s *codeStore) say(err error) {
	if err != nil && !s.failed {
		s.log.Warn("code of contracts cannot be kept on disk", slog.Any("error", err))
	}
	s.failed = err != nil
}

// keep holds code in memory and says whether it was new.
func (s *codeStore) keep(hash common.Hash, code []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codes.Contains(hash) {
		return false
	}
	s.codes.Add(hash, code)
	s.held += int64(len(code))
	for s.held > maxCodeBytes {
		s.codes.RemoveOldest()
	}
	return true
}

func (s *codeStore) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

func onDisk(size int64) int64 { return (size + diskBlock - 1) / diskBlock * diskBlock }

// prune counts what is on disk and, where that is too much, removes what was not used for longest until a
// quarter is free. What a process that ended has not written to the end goes too.
func (s *codeStore) prune() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	s.disk = 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		switch name := e.Name(); {
		case strings.HasPrefix(name, temporary):
			if time.Since(info.ModTime()) > time.Hour {
				_ = os.Remove(filepath.Join(s.dir, name)) // next time, then
			}
		case len(name) == len(common.Hash{}.Hex()) && strings.HasPrefix(name, "0x"):
			files = append(files, info)
			s.disk += onDisk(info.Size())
		}
	}
	if s.disk <= s.max {
		return nil
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if s.disk <= s.max/4*3 {
			break
		}
		if err := os.Remove(filepath.Join(s.dir, f.Name())); err != nil && !os.IsNotExist(err) {
			return err
		}
		s.disk -= onDisk(f.Size())
	}
	return nil
}

// index is the file that says which contract had which code. Chains share the directory, but not this.
func (s *codeStore) index(chainID uint64) string { return fmt.Sprintf("contracts-%d", chainID) }

// loadIndex returns what saveIndex wrote, or nothing.
func (s *codeStore) loadIndex(chainID uint64) []byte {
	if s.dir == "" {
		return nil
	}
	path := filepath.Join(s.dir, s.index(chainID))
	if info, err := os.Stat(path); err != nil || info.Size() > maxIndex {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil // code will be fetched that is there
	}
	return data
}

func (s *codeStore) saveIndex(chainID uint64, data []byte) {
	if s.dir == "" {
		return
	}
	s.files.Lock()
	defer s.files.Unlock()
	s.say(write(s.dir, s.index(chainID), data))
}

// write makes a file as a whole or not at all.
func write(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(f.Name()) //nolint:errcheck // the first error counts
	}
	return err
}

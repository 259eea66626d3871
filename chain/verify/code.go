package verify

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

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
	maxCodeDisk  = 256 << 20 // on disk; what is above is not written
)

// codeStore keeps contracts' code by its hash: the hash is all the proof that it needs, for ever.
type codeStore struct {
	dir string
	log *slog.Logger

	mu    sync.Mutex
	codes *lru.LRU[common.Hash, []byte]
	held  int64
	disk  int64 // bytes on disk
}

func newCodeStore(dir string, log *slog.Logger) (*codeStore, error) {
	s := &codeStore{dir: dir, log: log}
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
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("directory for contracts' code: %w", err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			s.disk += info.Size()
		}
	}
	return s, nil
}

// get returns the code of that hash, or nil when it is not known.
func (s *codeStore) get(hash common.Hash) []byte {
	if hash == types.EmptyCodeHash {
		return []byte{}
	}
	s.mu.Lock()
	code, ok := s.codes.Get(hash)
	s.mu.Unlock()
	if ok || s.dir == "" {
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
	return code
}

// put keeps code whose hash was checked.
func (s *codeStore) put(hash common.Hash, code []byte) {
	if len(code) == 0 || !s.keep(hash, code) || s.dir == "" {
		return
	}
	s.mu.Lock()
	fits := s.disk+int64(len(code)) <= maxCodeDisk
	if fits {
		s.disk += int64(len(code))
	}
	s.mu.Unlock()
	if !fits {
		return
	}
	if err := write(s.dir, hash.Hex(), code); err != nil {
		s.log.Warn("code of a contract could not be kept", "error", err)
	}
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

// write makes a file as a whole or not at all.
func write(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, ".new-*")
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

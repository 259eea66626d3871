package verify

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

func newStore(t *testing.T, dir string, log *bytes.Buffer) *codeStore {
	s, err := newCodeStore(dir, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// some is code of a length, each time another.
func some(n, which int) (common.Hash, []byte) {
	code := bytes.Repeat([]byte{byte(which), byte(which >> 8)}, n/2)
	return crypto.Keccak256Hash(code), code
}

func files(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestCodeOverRestarts: code that was fetched once is not fetched again, by whichever address it is known.
func TestCodeOverRestarts(t *testing.T) {
	dir := t.TempDir()
	msg := text(t, "wallet.eth", "url")
	for i, want := range []int{3, 0, 0, 1} {
		if i == 3 { // a file that was damaged
			damaged := filepath.Join(dir, files(t, dir)[0])
			if err := os.WriteFile(damaged, []byte("damaged"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if i == 2 {
			mine(t)
		}
		p := newNodeProvider()
		v := newVerifierWith(t, Config{Provider: p, CodeDir: dir})
		r := call(t, v, msg)
		if got := p.count("eth_getCode"); got != want || r.Proof.Trips > 3 {
			t.Errorf("start %d: %d codes were fetched in %d trips, want %d", i, got, r.Proof.Trips, want)
		}
		v.Close()
		if got := files(t, dir); len(got) != 4 || got[3] != "contracts-1337" {
			t.Errorf("got %v", got)
		}
	}
	s := newStore(t, dir, new(bytes.Buffer))
	for _, name := range files(t, dir)[:3] {
		if s.get(common.HexToHash(name)) == nil {
			t.Errorf("%s was not written anew", name)
		}
	}
}

func TestIndexIsAGuess(t *testing.T) {
	m := newMemory()
	address, hash := common.Address{19: 7}, common.Hash{31: 8}
	m.learnCode(address, hash)
	m.learnCode(common.Address{9}, types.EmptyCodeHash)
	exported := m.export()
	if n := bytes.Count(exported, []byte("\n")); n != 1 {
		t.Errorf("%d lines: %s", n, exported)
	}
	again := newMemory()
	again.load([]byte("\n \nxx yy\n00\n" + strings.Repeat("11", 20) + " 22\n" + string(exported) + "the end"))
	if again.codeOf(address) != hash || again.codes.Len() != 1 {
		t.Errorf("got %v", again.codes.Keys())
	}
	// A wrong index costs a trip and no more: the code's hash is proven each time.
	dir := t.TempDir()
	foreign, code := some(100, 7)
	s := newStore(t, dir, new(bytes.Buffer))
	s.put(foreign, code)
	var index strings.Builder
	for _, a := range []common.Address{theChain.UniversalResolver, theChain.Registry} {
		fmt.Fprintf(&index, "%x %x\n", a, foreign)
	}
	s.saveIndex(theChain.ChainID(), []byte(index.String()))
	msg := text(t, "wallet.eth", "url")
	v := newVerifierWith(t, Config{Provider: newNodeProvider(), CodeDir: dir})
	r := call(t, v, msg)
	want, _ := truth(t, msg, r.Head.Hash)
	if !bytes.Equal(r.Outputs[0].Data, want) || r.Proof.Trips != 3 {
		t.Errorf("got %+v, %+v", r.Outputs, r.Proof)
	}
}

func TestCodeDiskBound(t *testing.T) {
	dir, log := t.TempDir(), new(bytes.Buffer)
	other := filepath.Join(dir, "somebody-elses")
	stale := filepath.Join(dir, temporary+"stale")
	fresh := filepath.Join(dir, temporary+"fresh")
	for _, name := range []string{other, stale, fresh} {
		if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, dir, log)
	s.max = 20 * diskBlock
	var hashes []common.Hash
	for i := range 30 {
		hash, code := some(100+2*i, i) // small files take a block each
		s.put(hash, code)
		hashes = append(hashes, hash)
		at := time.Now().Add(time.Duration(i-100) * time.Minute)
		if err := os.Chtimes(filepath.Join(dir, hash.Hex()), at, at); err != nil {
			t.Fatal(err)
		}
		// A restart sees the first as used.
		if i == 15 && newStore(t, dir, log).get(hashes[0]) == nil {
			t.Fatal("code is not there")
		}
		if n := len(files(t, dir)) - 2; n > 20 {
			t.Fatalf("%d files", n)
		}
	}
	again := newStore(t, dir, log)
	for i, want := range map[int]bool{0: true, 1: false, 2: false, 28: true, 29: true} {
		if got := again.get(hashes[i]) != nil; got != want {
			t.Errorf("code %d is there: %v", i, got)
		}
	}
	for name, want := range map[string]bool{other: true, stale: false, fresh: true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if log.Len() > 0 {
		t.Error(log)
	}
}

func TestCodeMemoryBound(t *testing.T) {
	s := newStore(t, "", new(bytes.Buffer))
	for i := range 300 {
		s.put(some(maxCode, i))
	}
	if s.size() > maxCodeBytes || s.codes.Len() != maxCodeBytes/maxCode {
		t.Errorf("%d bytes of %d codes", s.size(), s.codes.Len())
	}
	empty := s.get(types.EmptyCodeHash)
	if empty == nil || len(empty) > 0 || s.get(common.Hash{}) != nil || s.has(common.Hash{}) {
		t.Error("empty code, or none")
	}
}

// TestCodeUnwritable has a directory in which nothing can be written. Code is kept in memory, and the log
// says so once.
func TestCodeUnwritable(t *testing.T) {
	dir, log := t.TempDir(), new(bytes.Buffer)
	s := newStore(t, dir, log)
	s.dir = filepath.Join(dir, "none") // for root, no directory is read-only
	for i := range 3 {
		hash, code := some(100, i)
		s.put(hash, code)
		if !bytes.Equal(s.get(hash), code) {
			t.Error("code is lost")
		}
	}
	s.saveIndex(1, []byte("x"))
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("%d lines: %s", got, log)
	}
	s.dir = dir
	s.put(some(100, 4))
	s.dir = filepath.Join(dir, "none")
	s.put(some(100, 5))
	if got := strings.Count(log.String(), "\n"); got != 2 {
		t.Errorf("%d lines: %s", got, log)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{CodeDir: file}); err == nil {
		t.Error("a file is no directory")
	}
}

package bed

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"

	"dens/internal/demo/consensus"
)

// StartBeacon starts a made-up beacon chain until the test ends.
func StartBeacon(t testing.TB, config consensus.Config) *consensus.Chain {
	t.Helper()
	c, err := consensus.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// NetworkFile writes the description of a beacon chain's network, as the configuration wants it, and returns
// its path.
func NetworkFile(t testing.TB, c *consensus.Chain) string {
	t.Helper()
	return writeFile(t, t.TempDir(), "config.yaml", string(c.NetworkConfig()))
}

// Head returns a function that reads the newest block's header, for a beacon chain that signs the blocks of
// the node. While the node does not answer, it is the one that was read last.
func (a *Anvil) Head(t testing.TB) func() *types.Header {
	t.Helper()
	client := ethclient.NewClient(a.Client)
	newest, err := client.HeaderByNumber(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	return func() *types.Header {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		mu.Lock()
		defer mu.Unlock()
		if header, err := client.HeaderByNumber(ctx, nil); err == nil {
			newest = header
		}
		return newest
	}
}

// BeaconAPI is one of several endpoints that serve a beacon chain: it may lie, be slow or be away by itself.
type BeaconAPI struct {
	URL string

	mu       sync.Mutex
	down     bool              // guarded by mu, as all below
	rewrite  consensus.Rewrite // nil: honest
	requests map[string]int    // by kind: the part of the path that names it
}

// NewBeaconAPI serves a beacon chain until the test ends.
func NewBeaconAPI(t testing.TB, c *consensus.Chain) *BeaconAPI {
	t.Helper()
	b := &BeaconAPI{requests: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, c.Handler()) }))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	b.URL = server.URL
	return b
}

// SetDown has it close connections without an answer, or serve again.
func (b *BeaconAPI) SetDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// SetRewrite has it lie; nil is honesty. An answer of no bytes is 404.
func (b *BeaconAPI) SetRewrite(rewrite consensus.Rewrite) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rewrite = rewrite
}

// Requests is how often a kind of answer was asked for: bootstrap, updates, finality_update,
// optimistic_update.
func (b *BeaconAPI) Requests(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests[kind]
}

func (b *BeaconAPI) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/eth/v1/beacon/light_client/"), "/")
	b.mu.Lock()
	b.requests[kind]++
	down, rewrite := b.down, b.rewrite
	b.mu.Unlock()
	if down {
		hangUp(w)
		return
	}
	if rewrite == nil {
		next.ServeHTTP(w, r)
		return
	}
	honest := httptest.NewRecorder()
	next.ServeHTTP(honest, r)
	body := rewrite(kind, bytes.Clone(honest.Body.Bytes()))
	w.Header().Set("Content-Type", "application/json")
	if len(body) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusOK)
	w.Write(body) //nolint:errcheck // the client's loss
}

// StateFiles are the files of light clients in a state directory of dens.
func StateFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "light-*"))
	if err != nil {
		t.Fatal(err)
	}
	var full []string
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Size() > 0 {
			full = append(full, f)
		}
	}
	return full
}

package verify

import (
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxJumps is of how many contracts the places that code may jump to are kept: an eighth of the code's size
// each, as far as they run at all.
const maxJumps = 1024

// jumpCache keeps where contracts' code may jump to, by the code's hash: a vm.JumpDestCache.
type jumpCache struct {
	mu    sync.Mutex
	known *lru.LRU[common.Hash, vm.BitVec]
}

func newJumpCache() *jumpCache {
	known, _ := lru.NewLRU[common.Hash, vm.BitVec](maxJumps, nil) // fails for no size only
	return &jumpCache{known: known}
}

// Load implements vm.JumpDestCache.
func (c *jumpCache) Load(code common.Hash) (vm.BitVec, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.Get(code)
}

// Store implements vm.JumpDestCache.
func (c *jumpCache) Store(code common.Hash, places vm.BitVec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known.Add(code, places)
}

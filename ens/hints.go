package ens

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ethereum/go-ethereum/common"
)

// maxHints bounds what is remembered about parents of off-chain names.
const maxHints = 1024

// hints remembers the nodes whose resolver answers for the names below it by way of a gateway, such as
// base.eth. For these the zone data of the parents, which is otherwise asked for in advance, would cost
// requests to a gateway and is left for later. A hint that is wrong costs a round trip, never the answer.
type hints struct {
	nodes *lru.Cache[common.Hash, struct{}]
}

func newHints() *hints {
	nodes, err := lru.New[common.Hash, struct{}](maxHints)
	if err != nil {
		panic("ens: " + err.Error()) // the size is a constant of the program
	}
	return &hints{nodes}
}

func (h *hints) set(node common.Hash)      { h.nodes.Add(node, struct{}{}) }
func (h *hints) drop(node common.Hash)     { h.nodes.Remove(node) }
func (h *hints) has(node common.Hash) bool { return h.nodes.Contains(node) }

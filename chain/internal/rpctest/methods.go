package rpctest

import (
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"dens/chain"
)

// block is called with mu held.
func (n *Node) block(number uint64) any {
	if number >= uint64(len(n.blocks)) {
		return nil
	}
	b := n.blocks[number]
	parent := common.Hash{}
	if number > 0 {
		parent = n.blocks[number-1].Hash
	}
	return map[string]any{
		"number": hexutil.EncodeUint64(number), "hash": b.Hash, "parentHash": parent,
		"timestamp": hexutil.EncodeUint64(uint64(b.Time.Unix())), "extraData": "0x", "transactions": []string{},
		"stateRoot": crypto.Keccak256Hash(stateNode(b.Hash)),
	}
}

// stateNode is the root of a block's made-up state, and all the proof there is of anything in it.
func stateNode(block common.Hash) []byte { return append([]byte("state of "), block[:]...) }

// at finds the block that a parameter names by number, tag or hash. It is called with mu held.
func (n *Node) at(param json.RawMessage) (chain.Head, bool) {
	var byHash struct {
		Hash *common.Hash `json:"blockHash"`
	}
	if json.Unmarshal(param, &byHash) == nil && byHash.Hash != nil {
		for _, b := range n.blocks {
			if b.Hash == *byHash.Hash {
				return b, true
			}
		}
		return chain.Head{}, false
	}
	var which string
	if json.Unmarshal(param, &which) != nil {
		return chain.Head{}, false
	}
	if which == "latest" {
		return n.blocks[len(n.blocks)-1], true
	}
	number, err := hexutil.DecodeUint64(which)
	if err != nil || number >= uint64(len(n.blocks)) {
		return chain.Head{}, false
	}
	return n.blocks[number], true
}

type request struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// answer is called with mu held.
func (n *Node) answer(q request) any {
	out := map[string]any{"jsonrpc": "2.0", "id": q.ID}
	fail := func(code int, message string, data any) any {
		e := map[string]any{"code": code, "message": message}
		if data != nil {
			e["data"] = data
		}
		out["error"] = e
		return out
	}
	if f := n.handlers[q.Method]; f != nil {
		a := f(q.Params)
		if a.Code != 0 {
			return fail(a.Code, a.Error, nil)
		}
		out["result"] = a.Result
		return out
	}
	switch q.Method {
	case "eth_chainId":
		out["result"] = hexutil.EncodeUint64(n.chainID)
	case "eth_blockNumber":
		out["result"] = hexutil.EncodeUint64(uint64(len(n.blocks) - 1))
	case "eth_getBalance":
		out["result"] = "0x0"
	case "eth_getProof":
		return n.answerProof(q, out, fail)
	case "eth_createAccessList":
		out["result"] = map[string]any{"accessList": []any{}, "gasUsed": "0x5208"}
	case "eth_getBlockByHash":
		var hash common.Hash
		_ = json.Unmarshal(q.Params[0], &hash)
		out["result"] = nil
		for _, b := range n.blocks {
			if b.Hash == hash {
				out["result"] = n.block(b.Number)
			}
		}
	case "eth_subscribe":
		out["result"] = "0x1"
	case "eth_unsubscribe":
		out["result"] = true
	case "eth_getBlockByNumber":
		var which string
		_ = json.Unmarshal(q.Params[0], &which)
		number := uint64(len(n.blocks) - 1)
		if which == "latest" {
			n.heads++
		} else if parsed, err := hexutil.DecodeUint64(which); err == nil {
			number = parsed
		}
		out["result"] = n.block(number)
	case "eth_call":
		n.calls++
		return n.answerCall(q, out, fail)
	default:
		return fail(-32601, fmt.Sprintf("the method %s does not exist", q.Method), nil)
	}
	return out
}

func (n *Node) answerProof(q request, out map[string]any, fail func(int, string, any) any) any {
	if len(q.Params) != 3 {
		return fail(-32602, "invalid params", nil)
	}
	block, ok := n.at(q.Params[2])
	switch {
	case !ok:
		return fail(-32000, "header not found", nil)
	case uint64(len(n.blocks))-block.Number > n.window:
		return fail(-32603, "distance to target block exceeds maximum proof window", nil)
	}
	out["result"] = map[string]any{"address": q.Params[0], "accountProof": []string{hexutil.Encode(stateNode(block.Hash))}}
	return out
}

func (n *Node) answerCall(q request, out map[string]any, fail func(int, string, any) any) any {
	var msg struct {
		To   common.Address `json:"to"`
		Data hexutil.Bytes  `json:"data"`
	}
	var at struct {
		Hash      common.Hash `json:"blockHash"`
		Canonical *bool       `json:"requireCanonical"`
	}
	if len(q.Params) != 2 || json.Unmarshal(q.Params[0], &msg) != nil || json.Unmarshal(q.Params[1], &at) != nil || at.Canonical == nil || *at.Canonical {
		return fail(-32602, "invalid params", nil)
	}
	known := false
	for _, b := range n.blocks {
		known = known || b.Hash == at.Hash
	}
	if !known {
		return fail(-32000, "header for hash not found", nil)
	}
	r := n.call(msg.To, msg.Data)
	if r.Code != 0 || r.Error != "" {
		return fail(r.Code, r.Error, r.Extra)
	}
	out["result"] = hexutil.Encode(r.Data)
	return out
}

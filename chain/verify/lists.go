package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"dens/chain"
)

const (
	// listGas is the gas that a backend may spend on an access list, far less than the message itself gets:
	// a contract that burns all it gets must not keep the backend busy for a guess. What ran out of it has a
	// list too.
	listGas = 10_000_000
	// listPatience is how long a list is waited for, at most.
	listPatience = 1500 * time.Millisecond
	// listless is how long no lists are asked for after no backend had any.
	listless = 5 * time.Minute
)

// list is what a backend claims that a message reads.
type list struct {
	msg     chain.Msg
	reads   []access
	backend string
}

// askLists asks for the access lists of messages (EIP-2930, eth_createAccessList). They are guesses: what
// goes wrong with them leaves the state to be fetched bit by bit.
func (r *run) askLists(ctx context.Context, msgs []chain.Msg) (lists []list, bytes int) {
	if until := r.v.listless.Load(); r.v.cfg.Now().UnixNano() < until {
		return nil, 0
	}
	patience := listPatience
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end)/3)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	requests := make([]chain.Request, len(msgs))
	at := blockHash{Hash: r.block.hash}
	for i, m := range msgs {
		args := map[string]any{"to": m.To, "data": hexutil.Bytes(m.Data), "gas": hexutil.Uint64(listGas)}
		requests[i] = chain.Request{Method: "eth_createAccessList", Params: []any{args, at}}
	}
	refused := 0
	err := r.v.fetch(ctx, requests, func(reply chain.Reply) error {
		bytes += reply.Bytes
		var err error
		lists, err = readLists(msgs, reply)
		if err != nil && len(lists) == 0 {
			refused++
		}
		return err
	})
	if err != nil && refused > 0 && ctx.Err() == nil {
		r.v.listless.Store(r.v.cfg.Now().Add(listless).UnixNano())
	}
	return lists, bytes
}

// readLists reads the lists in a reply. It fails when one of them is malformed, or when the backend makes
// none: another may.
func readLists(msgs []chain.Msg, reply chain.Reply) ([]list, error) {
	var lists []list
	var refusal error
	for i, m := range msgs {
		if err := reply.Errs[i]; err != nil {
			if !strings.Contains(err.Error(), "revert") { // some nodes have no list for what reverts
				refusal = err
			}
			continue
		}
		reads, err := decodeList(reply.Results[i])
		if err != nil {
			return nil, err
		}
		lists = append(lists, list{msg: m, reads: reads, backend: reply.Backend})
	}
	if len(lists) == 0 {
		return nil, refusal
	}
	return lists, nil
}

// decodeList reads the answer to eth_createAccessList, up to maxAccounts and maxSlots. A call that reverts
// has a list too.
func decodeList(answer json.RawMessage) ([]access, error) {
	var result struct {
		List types.AccessList `json:"accessList"`
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return nil, fmt.Errorf("%w: access list: %w", chain.ErrMalformed, err)
	}
	var reads []access
	left := maxSlots
	for _, t := range result.List[:min(len(result.List), maxAccounts)] {
		slots := t.StorageKeys[:min(len(t.StorageKeys), left)]
		left -= len(slots)
		reads = append(reads, access{t.Address, slots})
	}
	return reads, nil
}

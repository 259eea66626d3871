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
	// listless is how long no lists are asked for after all backends said that they make none.
	listless = 5 * time.Minute
)

// list is what a backend claims that a message reads.
type list struct {
	message
	reads   []access
	backend string
}

// answer is what came of asking for lists.
type answer struct {
	lists []list
	cost
}

// askLists asks for the access lists of messages (EIP-2930, eth_createAccessList). They are guesses: what
// goes wrong with them leaves the state to be fetched bit by bit.
func (r *run) askLists(ctx context.Context, msgs []message) (said answer) {
	if until := r.v.listless.Load(); r.v.cfg.Now().UnixNano() < until {
		return said
	}
	patience := listPatience
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end)/3)
	}
	// The patience is ours, not a time limit of the backend's: a deadline would count as its failure, and a few
	// names at once would put one out of use that is merely slow at guessing.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(patience, cancel).Stop()
	requests := make([]chain.Request, len(msgs))
	at := blockHash{Hash: r.block.hash}
	for i, m := range msgs {
		args := map[string]any{"to": m.To, "data": hexutil.Bytes(m.Data), "gas": hexutil.Uint64(listGas)}
		requests[i] = chain.Request{Method: "eth_createAccessList", Params: []any{args, at}}
	}
	asked, without := 0, 0
	said.trips = 1
	var err error
	defer recovered(&err)
	err = r.v.fetch(ctx, requests, func(reply chain.Reply) error {
		said.bytes += reply.Bytes
		asked++
		lists, err := readLists(msgs, reply)
		if err != nil && makesNone(err) {
			without++
		}
		if err == nil {
			said.lists = lists
		}
		return err
	})
	if err != nil && without > 0 && without == asked && ctx.Err() == nil {
		r.v.listless.Store(r.v.cfg.Now().Add(listless).UnixNano())
	}
	return said
}

// makesNone says whether a backend's refusal means that it makes no lists at all. One that does not know the
// block, or is asked too much, makes some another time; so does one that could not make this one.
func makesNone(err error) bool {
	text := strings.ToLower(err.Error())
	for _, sign := range []string{"method", "not supported", "unsupported", "createaccesslist", "not implemented", "not available on", "paid plan"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// readLists reads the lists in a reply. It fails when one of them is malformed, or when the backend makes
// none: another may.
func readLists(msgs []message, reply chain.Reply) ([]list, error) {
	var lists []list
	var refusal error
	for i, m := range msgs {
		if err := reply.Errs[i]; err != nil {
			if !strings.Contains(strings.ToLower(err.Error()), "revert") { // some nodes have no list for what reverts
				refusal = err
			}
			continue
		}
		reads, err := decodeList(reply.Results[i])
		if err != nil {
			return nil, err
		}
		lists = append(lists, list{message: m, reads: reads, backend: reply.Backend})
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

package ens

import (
	"errors"
	"fmt"
	"slices"

	"dens/chain"
	"dens/names"

	"github.com/ethereum/go-ethereum/common"
)

// state is what came of asking a name's resolver, or of one item of it.
type state uint8

const (
	// stateNone: no resolver answers for the name.
	stateNone state = iota
	// stateUnsupported: the resolver does not know the profile, or is no contract at all.
	stateUnsupported
	// stateSilent: nothing came back. The function is missing, or took all the gas there was.
	stateSilent
	// stateReverted: the resolver refuses to answer.
	stateReverted
	// stateFailed: nobody knows what the resolver would say.
	stateFailed
	// stateAnswered: there is data.
	stateAnswered
)

// result is what one item came to.
type result struct {
	state state
	data  []byte // when answered
	err   error  // when failed
	doubt bool   // whether reverted by itself, or for a gateway's sake
}

var errRefused = fmt.Errorf("%w: the contract refused what the gateway said", chain.ErrGateway)

// view is what the contracts hold under one name, as far as it was asked for.
type view struct {
	state   state
	err     error // when failed
	results map[key]result
	origin
	doubt    bool           // of one of the results
	resolver common.Address // that the UniversalResolver says it asked; zero when it does not say
}

// origin says which gateways' data is in outputs, and whether a signature over some of it was checked.
type origin struct {
	gateways  []string
	signature bool
}

func (o *origin) add(out chain.Output) {
	if len(out.Gateways) > 0 {
		o.gateways, o.signature = union(o.gateways, out.Gateways), o.signature || out.Signature
	}
}

// newView puts the results of items together. It is one of stateAnswered when the resolver had something
// to say about at least one item, be it that it does not support the profile, and else one of
// stateReverted or stateSilent.
func newView(items []item, results []result, by origin) *view {
	v := &view{state: stateAnswered, results: make(map[key]result, len(items)), origin: by}
	reverted, silent := 0, 0
	for i, it := range items {
		v.results[it.key] = results[i]
		v.doubt = v.doubt || results[i].doubt
		switch results[i].state {
		case stateReverted:
			reverted++
		case stateSilent:
			silent++
		}
	}
	switch {
	case silent == len(items):
		v.none(stateSilent)
	case silent+reverted == len(items):
		v.none(stateReverted)
	}
	return v
}

// doubtful says whether it is in doubt what the view says about one of keys.
func (v *view) doubtful(keys []key) bool {
	if !v.doubt || v.state != stateAnswered {
		return v.doubt
	}
	return slices.ContainsFunc(keys, func(k key) bool { return v.results[k].doubt })
}

func failedView(err error) *view { return &view{state: stateFailed, err: err} }

// none makes the view that of a resolver that answered nothing. When it had asked a gateway, then the
// gateway's data was wrong, and that must not pass for absence.
func (v *view) none(s state) *view {
	v.state = s
	if len(v.gateways) > 0 {
		v.state, v.err = stateFailed, errRefused
	}
	return v
}

// callResult judges what came of calling a resolver.
func callResult(data []byte, reverted bool) result {
	switch {
	case !reverted && len(data) == 0:
		return result{state: stateUnsupported} // there is no code
	case !reverted && len(data)%wordSize != 4:
		return answer(data)
	}
	return revertResult(data)
}

// itemResult judges one element of what a multicall returned. There is no flag of success in it: what is
// four bytes longer than a multiple of words is the data of a revert (ENSIP-23).
func itemResult(data []byte) result {
	if len(data)%wordSize != 4 && len(data) > 0 {
		return answer(data)
	}
	return revertResult(data)
}

// answer is data, unless it is more than any record has with its encoding.
func answer(data []byte) result {
	if len(data) > maxRRset+4*wordSize {
		return result{state: stateFailed, err: malformed("%d bytes in answer to one question", len(data))}
	}
	return result{state: stateAnswered, data: data}
}

// revertResult judges the data of a revert: an error with its arguments (Solidity's ABI), or nothing.
func revertResult(data []byte) result {
	if len(data) == 0 {
		return result{state: stateSilent}
	}
	if len(data)%wordSize != 4 {
		return result{state: stateFailed, err: malformed("a revert with %d bytes that are no error", len(data))}
	}
	switch selector(data) {
	case errorUnsupported:
		return result{state: stateUnsupported}
	case errorTooLarge, errorMalformed:
		return result{state: stateFailed, err: malformed("the UniversalResolver refuses what the resolver said")}
	case errorHTTP:
		return result{state: stateFailed, err: fmt.Errorf("%w: gateway error", chain.ErrGateway)}
	case errorOffchainLookup:
		return result{state: stateFailed, err: fmt.Errorf("%w: nobody followed the look-up", chain.ErrGateway)}
	case errorResolver:
		inner, err := bytesAt(data[4:], 0, 0, uint64(len(data)))
		if err == nil && len(inner)%wordSize == 4 && selector(inner) != errorResolver {
			return revertResult(inner)
		}
	}
	return result{state: stateReverted, doubt: selector(data) == errorString}
}

// selector returns the first four bytes of data, as far as there are so many.
func selector(data []byte) (s [4]byte) {
	copy(s[:], data)
	return s
}

// get returns the data of an item, nil when there is none.
func (v *view) get(k key) ([]byte, error) {
	r := v.results[k]
	return r.data, r.err
}

// broken returns an error when the resolver gave garbage for its Ethereum address, which is the one
// thing that every resolver is asked.
func (v *view) broken() error {
	data, err := v.get(key{kind: kindAddr})
	if data != nil {
		_, err = addressAt(data, 0)
	}
	if errors.Is(err, names.ErrMalformed) {
		return err
	}
	return nil // other failures matter to those who want the address
}

// bytes returns the bytes or string that an item holds, nil when there is none.
func (v *view) bytes(k key, limit uint64) ([]byte, error) {
	data, err := v.get(k)
	if data == nil || err != nil {
		return nil, err
	}
	b, err := bytesAt(data, 0, 0, limit)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, nil
	}
	return slices.Clone(b), nil // so that the whole answer is not kept for its sake
}

func (v *view) rrset(owner int, wild bool, rrtype uint16) ([]byte, error) {
	return v.bytes(key{kind: kindRRset, owner: owner, wild: wild, rrtype: rrtype}, maxRRset)
}

func (v *view) has(owner int, wild bool) (bool, error) {
	data, err := v.get(key{kind: kindHas, owner: owner, wild: wild})
	if data == nil || err != nil {
		return false, err
	}
	return boolAt(data, 0)
}

func (v *view) contenthash() ([]byte, error) {
	return v.bytes(key{kind: kindContenthash}, maxContentHash)
}

func (v *view) text(k string) (string, error) {
	b, err := v.bytes(key{kind: kindText, text: k}, maxText)
	return string(b), err
}

// addresses returns the address records that were asked for and have a text form, Ethereum first.
func (v *view) addresses() ([]names.Address, error) {
	var list []names.Address
	data, err := v.get(key{kind: kindAddr})
	if err != nil {
		return nil, err
	}
	if data != nil {
		a, err := addressAt(data, 0)
		if err != nil {
			return nil, err
		}
		if a != (common.Address{}) {
			list = append(list, names.Address{Currency: "ETH", Text: a.Hex()})
		}
	}
	for _, c := range coins() {
		b, err := v.bytes(key{kind: kindCoin, coin: c.kind}, maxAddress)
		if err != nil {
			return nil, err
		}
		if text := c.text(b); text != "" {
			list = append(list, names.Address{Currency: c.symbol, Text: text})
		}
	}
	return list, nil
}

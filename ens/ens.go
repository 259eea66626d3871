// Package ens is the name system of the Ethereum Name Service and of its forks. A name goes through
// ENSIP-15 and namehash to the registry, its resolver and the records there; everything that one
// answer may need is asked for in one chain.Call.
//
// Whoever controls a name controls every byte that its resolver returns. The package bounds and decodes
// those bytes, and judges nothing in them: DNS rules are the business of package resolver/onchain.
package ens

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dens/chain"
	"dens/names"

	"github.com/ethereum/go-ethereum/common"
)

// Limits of a look-up.
const (
	// MaxDepth is the greatest number of labels below the zone that are looked up.
	MaxDepth = 8

	maxRRset       = 64 << 10 // bytes of one stored EIP-1185 RRset
	maxText        = 16 << 10 // bytes of one text record
	maxContentHash = 256      // bytes of one content hash
	maxAddress     = 128      // bytes of one address record
)

// Deployment is one deployment of ENS contracts: ENS itself or a fork of it.
type Deployment struct {
	Chain    string         // the chain's name in the configuration
	ChainID  uint64         // its EIP-155 chain id
	Zone     string         // the names that it holds, such as "eth."
	Registry common.Address // ENSRegistry (EIP-137)
	// UniversalResolver is the ENSIP-23 contract that resolves in one call; zero when the chain has
	// none, and the registry and the resolvers are then asked directly.
	UniversalResolver common.Address
}

// System is the names.System of one Deployment. It is safe for concurrent use.
type System struct {
	caller     chain.Caller
	deployment Deployment
	contracts  *contracts
	wildcards  *hints
}

var _ names.Delegator = (*System)(nil)

// New returns the System of d that makes its calls through caller.
func New(caller chain.Caller, d Deployment) *System {
	d.Zone = strings.ToLower(strings.TrimSuffix(d.Zone, ".")) + "."
	return &System{caller: caller, deployment: d, contracts: newContracts(), wildcards: newHints()}
}

// Deployment returns what the System was made for, with the zone in lower case and absolute.
func (s *System) Deployment() Deployment { return s.deployment }

// Lookup implements names.System.
func (s *System) Lookup(ctx context.Context, name string, rrtype uint16) (names.Records, error) {
	return s.find(ctx, name, rrtype, false)
}

// LookupCuts implements names.Delegator.
func (s *System) LookupCuts(ctx context.Context, name string, rrtype uint16) (names.Records, error) {
	return s.find(ctx, name, rrtype, true)
}

func (s *System) find(ctx context.Context, name string, rrtype uint16, cuts bool) (names.Records, error) {
	n, err := parseName(name, s.deployment.Zone)
	if err != nil {
		return names.Records{}, err
	}
	l := &lookup{System: s, name: n, rrtype: rrtype, wantCuts: cuts}
	l.eager = l.isEager()
	r, err := l.run(ctx)
	if err != nil {
		return names.Records{}, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// lookup is the state of one Lookup. It belongs to one goroutine.
type lookup struct {
	*System
	name     *name
	rrtype   uint16
	wantCuts bool // zone cuts too (names.Delegator)
	eager    bool // and DS together with NS
	evidence
}

// run does the whole of it.
func (l *lookup) run(ctx context.Context) (names.Records, error) {
	ask := l.registry
	if l.deployment.UniversalResolver != (common.Address{}) {
		ask = l.universal
	}
	f, err := ask(ctx)
	if err != nil {
		return names.Records{}, err
	}
	return l.records(ctx, f)
}

// call makes one Call, pinned to the block of the first one.
func (l *lookup) call(ctx context.Context, msgs []chain.Msg) ([]chain.Output, error) {
	r, err := l.caller.Call(ctx, chain.Call{Msgs: msgs, At: l.head})
	if err != nil {
		return nil, err
	}
	if len(r.Outputs) != len(msgs) {
		return nil, fmt.Errorf("%w: %d outputs for %d messages", chain.ErrMalformed, len(r.Outputs), len(msgs))
	}
	return r.Outputs, l.add(&r)
}

// callAll makes as many Calls as chain.MaxMsgs asks for.
func (l *lookup) callAll(ctx context.Context, msgs []chain.Msg) ([]chain.Output, error) {
	var all []chain.Output
	for len(msgs) > 0 {
		n := min(len(msgs), chain.MaxMsgs)
		outputs, err := l.call(ctx, msgs[:n])
		if err != nil {
			return nil, err
		}
		all = append(all, outputs...)
		msgs = msgs[n:]
	}
	return all, nil
}

// union appends to list what it lacks of more, in order.
func union(list, more []string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

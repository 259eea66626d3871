package bed

import (
	"encoding/json"
	"time"
)

// Lie changes the result of one JSON-RPC call; nil leaves the result away. It may run concurrently.
type Lie func(method string, params []json.RawMessage, result json.RawMessage) json.RawMessage

// SetLie has the proxy change results; nil is honesty.
func (p *Proxy) SetLie(lie Lie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lie = lie
}

// SetDelay has answers come later.
func (p *Proxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Fetches is how many HTTP requests asked for a part of the chain's state.
func (p *Proxy) Fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// fetchMethods are those that verified answers are made of.
var fetchMethods = map[string]bool{
	"eth_getBlockByHash": true, "eth_getProof": true, "eth_getCode": true, "eth_createAccessList": true,
}

package consensus

import (
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// Rewrite changes what is served, to lie: kind is bootstrap, updates, finality_update, optimistic_update
// or another part of a path, body the honest answer. It may run concurrently.
type Rewrite func(kind string, body []byte) []byte

// SetRewrite sets a Rewrite for all answers; nil is honesty.
func (c *Chain) SetRewrite(rewrite Rewrite) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rewrite = rewrite
}

// listen serves the chain.
func (c *Chain) listen() error {
	if c.config.Port < 0 {
		return nil
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.config.Port)))
	if err != nil {
		return err
	}
	c.url = "http://" + listener.Addr().String()
	c.server = &http.Server{Handler: c.handler, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	c.done.Go(func() { _ = c.server.Serve(listener) }) // ends by Close
	return nil
}

// URL is where the beacon API is served; "" with a negative Port.
func (c *Chain) URL() string { return c.url }

// Handler is the beacon API, for tests that put something before it.
func (c *Chain) Handler() http.Handler { return c.handler }

// answer makes the message of a request; nil is 404.
type answer func(*http.Request) any

func (c *Chain) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, kind string, make answer) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { c.reply(w, kind, make(r)) })
	}
	const light = "/eth/v1/beacon/light_client/"
	handle(light+"bootstrap/{root}", "bootstrap", c.getBootstrap)
	handle(light+"updates", "updates", c.getUpdates)
	handle(light+"finality_update", "finality_update", func(*http.Request) any { return c.signedHead().finality() })
	handle(light+"optimistic_update", "optimistic_update", func(*http.Request) any { return c.signedHead().optimistic() })
	handle("/eth/v1/beacon/headers/{id}", "headers", c.getHeader)
	handle("/eth/v1/beacon/blocks/{id}/root", "root", c.getRoot)
	handle("/eth/v1/beacon/genesis", "genesis", c.getGenesis)
	handle("/eth/v1/config/spec", "spec", c.getSpec)
	mux.HandleFunc("GET /eth/v1/node/health", func(http.ResponseWriter, *http.Request) {})
	return mux
}

func (c *Chain) reply(w http.ResponseWriter, kind string, message any) {
	status := http.StatusOK
	if message == nil {
		status = http.StatusNotFound
		message = map[string]any{"code": status, "message": "not known"}
	}
	if v, ok := message.(versioned); ok {
		w.Header().Set("Eth-Consensus-Version", v.Version)
	}
	body := encode(message)
	c.mu.Lock()
	rewrite := c.rewrite
	c.mu.Unlock()
	if rewrite != nil {
		body = rewrite(kind, body)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client's loss
}

func (c *Chain) signedHead() *signed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head
}

// getBootstrap serves finalised blocks that were the last ones before an epoch.
func (c *Chain) getBootstrap(r *http.Request) any {
	b, finalized := c.find(r.PathValue("root"))
	if b == nil || !finalized {
		return nil
	}
	return b.bootstrap()
}

func (c *Chain) getUpdates(r *http.Request) any {
	start, err := strconv.ParseUint(r.FormValue("start_period"), 10, 64)
	if err != nil {
		return nil
	}
	count, err := strconv.ParseUint(r.FormValue("count"), 10, 64)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []versioned{}
	for i := range min(count, maxUpdates, math.MaxUint64-start) {
		if u, ok := c.updates[start+i]; ok {
			list = append(list, u.handover())
		}
	}
	return list
}

// find finds a block by head, finalized, its slot or its root.
func (c *Chain) find(id string) (found *block, finalized bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var match func(*block) bool
	if raw, err := hexutil.Decode(id); err == nil && len(raw) == common.HashLength {
		match = func(b *block) bool { return b.root == common.Hash(raw) }
	} else if slot, err := strconv.ParseUint(id, 10, 64); err == nil {
		match = func(b *block) bool { return b.header.slot == slot }
	} else if id == "head" {
		match = func(b *block) bool { return b == c.head.block }
	} else if id == "finalized" {
		match = func(b *block) bool { return b == c.finalized }
	} else {
		return nil, false
	}
	for _, list := range [][]*block{{c.finalized, c.first}, c.recent, c.anchors} {
		for _, b := range list {
			if match(b) {
				return b, b.header.slot <= c.finalized.header.slot
			}
		}
	}
	return nil, false
}

func (c *Chain) getHeader(r *http.Request) any {
	b, finalized := c.find(r.PathValue("id"))
	if b == nil {
		return nil
	}
	noSignature := append(hexutil.Bytes{0xc0}, make([]byte, 95)...) // blocks have no proposer who could sign
	header := map[string]any{"message": b.header.message(), "signature": noSignature}
	return map[string]any{
		"execution_optimistic": false, "finalized": finalized,
		"data": map[string]any{"root": b.root, "canonical": true, "header": header},
	}
}

func (c *Chain) getRoot(r *http.Request) any {
	b, finalized := c.find(r.PathValue("id"))
	if b == nil {
		return nil
	}
	return map[string]any{
		"execution_optimistic": false, "finalized": finalized, "data": map[string]any{"root": b.root},
	}
}

func (c *Chain) getGenesis(*http.Request) any {
	return map[string]any{"data": map[string]any{
		"genesis_time":            decimal(uint64(c.config.Genesis.Unix())),
		"genesis_validators_root": c.config.ValidatorsRoot,
		"genesis_fork_version":    hexutil.Bytes(c.forks[0].version[:]),
	}}
}

func (c *Chain) getSpec(*http.Request) any {
	spec := map[string]string{"SLOTS_PER_EPOCH": decimal(SlotsPerEpoch), "EPOCHS_PER_SYNC_COMMITTEE_PERIOD": decimal(EpochsPerPeriod), "SYNC_COMMITTEE_SIZE": decimal(CommitteeSize)}
	for _, pair := range c.settings() {
		spec[strings.ToUpper(pair[0])] = pair[1]
	}
	return map[string]any{"data": spec}
}

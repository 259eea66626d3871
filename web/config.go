// Package web is the plain HTTP side of dens: health, readiness, metrics, a page that shows the state,
// and the place where the DNS over HTTPS resource is mounted. What it shows is injected.
package web

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says what the handler shows.
type Config struct {
	Version  string
	Started  time.Time
	Gatherer prometheus.Gatherer // nil: no /metrics

	DoH     http.Handler  // nil: none
	DoHPath func() string // "/dns-query"; it must not be that of another resource

	Ready   func() []Part // nil: none, never ready
	Status  func() Status // nil: an empty one
	Metrics *Metrics      // its totals are on the page; nil: none

	// Allow says who may see all but /healthz and DoH, which has access rules of its own. nil: all.
	Allow func(netip.Addr) bool
}

func (c Config) withDefaults() Config {
	if c.DoHPath == nil {
		c.DoHPath = func() string { return "/dns-query" }
	}
	if c.Ready == nil {
		c.Ready = func() []Part { return nil }
	}
	if c.Status == nil {
		c.Status = func() Status { return Status{} }
	}
	if c.Allow == nil {
		c.Allow = func(netip.Addr) bool { return true }
	}
	return c
}

// Part is one thing that can answer questions: a group of upstream servers, or a chain. Name and Reason
// are shown: they hold no secrets.
type Part struct {
	Name     string `json:"name"`
	Ready    bool   `json:"ready"`
	Degraded bool   `json:"degraded,omitempty"` // ready, but not as it should be, or not for long
	Reason   string `json:"reason,omitempty"`   // why it is not ready, or degraded
	Trust    string `json:"trust,omitempty"`    // of a chain: what is in force, such as "proven"
	Anchor   string `json:"anchor,omitempty"`   // with trust proven: who vouches for blocks, such as "beacon (optimistic)"
	Names    string `json:"names,omitempty"`    // of a certificate: what it is for
	Expires  string `json:"expires,omitempty"`  // of a certificate: when it ends (RFC 3339)
	Aside    bool   `json:"-"`                  // it answers no questions: nothing is ready by it alone
}

// Status is the state of what dens asks.
type Status struct {
	Chains    []Chain
	Backends  []Backend
	Upstreams []Upstream
	Recursion Recursion
	Cache     Cache
}

// Certificate is what the encrypted listeners show.
type Certificate struct {
	Kind      string        // files, acme, self-signed
	ExpiresIn time.Duration // zero or less: it has ended, or there is none
	Failing   bool          // the last attempt to renew it failed
}

// Chain is what is in force for a chain, and what is known of it. Its strings hold no secrets.
type Chain struct {
	Name   string
	Trust  string  // proven, quorum, single
	Anchor string  // who vouches for blocks, with trust proven: beacon (optimistic), quorum, ...; else none
	Reason string  // why it is no better anchor; "" is none
	Block  *Block  // that calls are executed at; nil: none yet
	Light  *Light  // the light client; nil: none
	Proofs *Proofs // with trust proven; else nil
}

// Block is a block that is vouched for.
type Block struct {
	Number    uint64
	Slot      uint64 // of the beacon chain; 0: not known by one
	Age       time.Duration
	ExpiresIn time.Duration // until it is too old
}

// Light is the state of a light client of Ethereum's consensus.
type Light struct {
	Period    uint64 // of the sync committee in force
	Finalized uint64 // the newest final slot that is proven; 0: none yet
	Failing   time.Duration
	Endpoints []BeaconEndpoint
}

// BeaconEndpoint is the state of one beacon API.
type BeaconEndpoint struct {
	Name     string
	Up       bool
	Slot     uint64 // the newest that it proved; 0: none
	Requests uint64
	Errors   uint64
	Reason   string // of the last error
}

// Proofs is what executing calls over proven state took. All but Blocks and Memory are counts since the
// chain was configured.
type Proofs struct {
	Calls  uint64
	Trips  uint64 // rounds of requests
	Bytes  uint64 // of answers
	Bad    uint64 // answers that did not prove what they were asked for
	Blocks int    // whose state is held
	Memory int64  // bytes of state and code that are held
}

// Backend is the state of one RPC endpoint of a chain. Its strings hold no secrets.
type Backend struct {
	Chain    string
	Name     string
	Operator string
	State    string // such as closed, open, half-open: what its circuit breaker is in
	Up       bool   // it is in use
	Head     uint64 // its newest block's number
	Lag      uint64 // blocks that it is behind the best of its chain
	Latency  time.Duration
	Calls    uint64
	Errors   uint64
	Reason   string // why it is not in use
}

// Upstream is the state of one DNS server that is forwarded to. Its strings hold no secrets.
type Upstream struct {
	Zone    string // what is forwarded to it; "." is everything else
	Name    string
	State   string
	Up      bool
	Latency time.Duration
	Queries uint64
	Errors  uint64
	Reason  string
}

// Recursion is the state of iteration and validation. The keys of its maps are labels of metrics: words
// of a small set. All but Cached, Servers and Anchors are counts since the start.
type Recursion struct {
	Queries     map[string]uint64 // messages to authoritative servers, by transport
	Exhausted   map[string]uint64 // questions that were given up, by the limit that they met
	Validations map[string]uint64 // judged responses, by status: secure, insecure, bogus
	Cached      map[string]int    // what is remembered besides replies, by kind: cuts, keys, ...
	Servers     int               // authoritative servers that are remembered
	Anchors     []Anchor
}

// Anchor is a key that is, may become or was a trust anchor (RFC 5011).
type Anchor struct {
	Zone  string
	Tag   uint16
	State string
	Since time.Time // when it came into its state; zero when that is not known
}

// Cache is the state of the cache.
type Cache struct {
	Entries   int
	Bytes     int64
	Evictions uint64 // since the start
	Flights   int    // misses under way
}

// Traffic is the state of the listeners. All but Open are counts since the start.
type Traffic struct {
	Conns       []Conns
	Malformed   uint64
	Silent      uint64
	Shed        uint64
	Refused     uint64
	RateDropped uint64
	RateSlipped uint64
	RateCookies uint64
	Cookies     map[string]uint64 // requests by what their DNS cookie was worth
	WriteErrors uint64
	Panics      uint64
	Handshakes  uint64 // of TLS and QUIC that failed
	Slow        uint64 // messages, headers and bodies that did not come whole in time
	Abuse       uint64 // connections ended since they broke or abused their protocol
}

// Conns counts the connections of one protocol.
type Conns struct {
	Protocol string
	Opened   uint64
	Refused  uint64
	Evicted  uint64
	Open     int64
}

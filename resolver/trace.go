package resolver

import (
	"context"
	"sync"
	"time"
)

// Trace collects what is done for one question, for people to read (dens lookup --trace and --trust).
// It rides in the context. It is safe for concurrent use; a nil Trace collects nothing.
type Trace struct {
	start time.Time

	mu    sync.Mutex
	steps []Step
	trust []TrustStep
}

// MaxSteps bounds a Trace: what comes later is not in it.
const MaxSteps = 1024

// Step is one exchange with a server, or one thing that was decided without one. Its JSON form is part
// of dens's interface.
type Step struct {
	At        time.Duration `json:"at_ns"`               // since the question
	Depth     int           `json:"depth"`               // 0 for the question itself, 1 for what is needed for it, ...
	Kind      StepKind      `json:"kind"`                //
	Zone      string        `json:"zone,omitempty"`      // whose servers are asked
	Name      string        `json:"name,omitempty"`      // that is asked for
	Type      string        `json:"type,omitempty"`      //
	Server    string        `json:"server,omitempty"`    // address and port
	Host      string        `json:"host,omitempty"`      // the server's name, where it is known
	Transport string        `json:"transport,omitempty"` // udp, tcp, tls, https, local
	RTT       time.Duration `json:"rtt_ns,omitempty"`    //
	Rcode     string        `json:"rcode,omitempty"`     //
	Outcome   string        `json:"outcome,omitempty"`   // what it led to: "referral to com.", "answer", "timed out"
	Status    string        `json:"status,omitempty"`    // of a validation: secure, insecure, bogus
}

// StepKind is what a Step is about.
type StepKind string

// The kinds of steps.
const (
	StepQuery    StepKind = "query"    // a message to a server, and what came back
	StepCached   StepKind = "cached"   // something that was known already
	StepValidate StepKind = "validate" // a judgement about a response
	StepNote     StepKind = "note"     // why the next step is taken
)

// TrustStep is one link of a chain of trust, from the anchor down.
type TrustStep struct {
	Zone   string   `json:"zone"`
	By     string   `json:"by"`               // what vouches for the zone: "anchor", "chain", "DS", "negative anchor", "no DS"
	DS     []string `json:"ds,omitempty"`     // in presentation form
	Key    string   `json:"dnskey,omitempty"` // the key that the DS or anchor is of: tag, algorithm
	Sig    string   `json:"rrsig,omitempty"`  // the signature by it: covered type, signer and tag, expiry
	Status string   `json:"status"`           // secure, insecure, bogus
	Text   string   `json:"text,omitempty"`   // why, where it is not secure
}

type traceKey struct{}

// WithTrace returns a context that carries a new Trace.
func WithTrace(ctx context.Context) (context.Context, *Trace) {
	t := &Trace{start: time.Now()}
	return context.WithValue(ctx, traceKey{}, t), t
}

// TraceOf returns the Trace that ctx carries, or nil.
func TraceOf(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

type depthKey struct{}

// Deeper returns a context for what is needed for the question of ctx.
func Deeper(ctx context.Context) context.Context {
	return context.WithValue(ctx, depthKey{}, DepthOf(ctx)+1)
}

// DepthOf is the Depth of the steps that are taken under ctx by who does not count by itself.
func DepthOf(ctx context.Context) int {
	depth, _ := ctx.Value(depthKey{}).(int)
	return depth
}

// Add appends a step and returns how to amend it, once more is known.
func (t *Trace) Add(s Step) (amend func(func(*Step))) {
	if t == nil {
		return func(func(*Step)) {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.steps) >= MaxSteps {
		return func(func(*Step)) {}
	}
	s.At = time.Since(t.start)
	i := len(t.steps)
	t.steps = append(t.steps, s)
	return func(change func(*Step)) {
		t.mu.Lock()
		defer t.mu.Unlock()
		change(&t.steps[i])
	}
}

// AddTrust appends a link of the chain of trust; one that is there already is left out.
func (t *Trace) AddTrust(s TrustStep) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.trust {
		// What a chain vouches for is an anchor to who validates: one link.
		if known := &t.trust[i]; known.Zone == s.Zone && known.By == "chain" && s.By == "anchor" {
			known.Key, known.Sig, known.Status = s.Key, s.Sig, s.Status
			if s.Text != "" {
				known.Text = s.Text
			}
			return
		}
	}
	for _, known := range t.trust {
		if known.Zone == s.Zone && known.By == s.By && known.Status == s.Status && known.Sig == s.Sig {
			return
		}
	}
	if len(t.trust) < MaxSteps {
		t.trust = append(t.trust, s)
	}
}

// Steps returns the steps so far, in the order of their beginning.
func (t *Trace) Steps() []Step {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Step(nil), t.steps...)
}

// Trust returns the links of the chain of trust so far.
func (t *Trace) Trust() []TrustStep {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]TrustStep(nil), t.trust...)
}

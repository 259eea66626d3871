package resolver

import (
	"context"
	"sync"
)

// Scope holds what the parts of one client question share: the budgets of those who answer it, which
// are to last for the whole of an alias chain. It rides in the context. It is safe for concurrent use.
type Scope struct {
	mu     sync.Mutex
	values map[any]any
}

type scopeKey struct{}

// WithScope returns a context with a Scope: the one that it has, or else a new one.
func WithScope(ctx context.Context) context.Context {
	if ScopeOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, &Scope{values: make(map[any]any)})
}

// ScopeOf returns the Scope of ctx, or nil.
func ScopeOf(ctx context.Context) *Scope {
	s, _ := ctx.Value(scopeKey{}).(*Scope)
	return s
}

// Value returns what is kept under key, which the first to ask makes. A nil Scope keeps nothing.
func (s *Scope) Value(key any, make func() any) any {
	if s == nil {
		return make()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[key]
	if !ok {
		v = make()
		s.values[key] = v
	}
	return v
}

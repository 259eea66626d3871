package recursive

import (
	"context"

	"dens/resolver"
)

// WithFallback returns a resolver.Resolver that asks other where r cannot work, since the network blocks
// port 53 or answers there in the place of name servers.
func (r *Resolver) WithFallback(other resolver.Resolver) resolver.Resolver {
	return fallback{r, other}
}

type fallback struct {
	*Resolver
	other resolver.Resolver
}

// Resolve implements resolver.Resolver.
func (f fallback) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	if f.Health().Blocked {
		return f.other.Resolve(ctx, q)
	}
	return f.Resolver.Resolve(ctx, q)
}

package pool

// Blame tells that what a backend said turned out to be of no use after its answer was taken; err wraps
// chain.ErrMalformed or chain.ErrBadProof. As if Fetch's accept had refused it, it is asked last for a while.
func (p *Pool) Blame(backend string, err error) {
	for _, e := range p.endpoints {
		if e.cfg.Name == backend {
			_ = e.rejected(err) // it is the caller's own
		}
	}
}

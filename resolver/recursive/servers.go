package recursive

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/authority"
)

// ask puts a step's question to the servers of its zone: first to those whose addresses are known, then
// to those whose addresses are to be found, a few at a time.
func (r *Resolver) ask(ctx context.Context, s step) (*authority.Reply, error) {
	w := workOf(ctx)
	question := authority.Question{
		Zone: s.at.zone, Name: s.name, Type: s.rrtype,
		Signed: s.realm.anchors != nil && isSigned(s.at), Avoid: s.avoid, Spend: w.spendQuery, Tentative: s.tentative, Depth: w.depth,
	}
	var doubted bool
	question.Accept = func(msg *dns.Msg) error {
		in, err := read(msg, s.at.zone, s.name, s.rrtype)
		switch {
		case isAlias(err):
			return nil // that it cannot be answered at all is no server's fault
		case err == nil && in.doubt != nil:
			doubted = true
			return in.doubt
		}
		return err
	}
	var asked []netip.AddrPort
	var failure error
	for addrs := range r.addresses(ctx, s, &failure) {
		addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool { return slices.Contains(asked, a) })
		if len(addrs) == 0 {
			continue
		}
		asked, doubted = append(asked, addrs...), false
		reply, err := r.servers.Ask(ctx, addrs, question)
		if err == nil {
			return reply, nil
		}
		if doubted && ctx.Err() == nil {
			if reply := r.askDoubtful(ctx, addrs, question, s); reply != nil {
				return reply, nil
			}
		}
		if failure = err; !isServers(err) || ctx.Err() != nil || s.tentative && answered(err) {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case failure == nil:
		failure = resolver.Errorf(dns.ExtendedErrorCodeNoReachableAuthority, nil, "no address is known of the name servers of %s", s.at.zone)
	}
	return nil, failure
}

// answered says whether a server was there, and said that it cannot answer.
func answered(err error) bool {
	var failed *authority.Error
	return errors.As(err, &failed) && !failed.Unreachable()
}

// isSigned says that the zone above knows DS of a zone, so that an answer without signatures is of no use.
func isSigned(c *cut) bool {
	return slices.ContainsFunc(c.referral, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDS })
}

// askDoubtful takes the answer that was doubtful, since there is none better.
func (r *Resolver) askDoubtful(ctx context.Context, addrs []netip.AddrPort, question authority.Question, s step) *authority.Reply {
	question.Accept = func(msg *dns.Msg) error {
		if _, err := read(msg, s.at.zone, s.name, s.rrtype); !isAlias(err) {
			return err
		}
		return nil
	}
	reply, err := r.servers.Ask(ctx, addrs, question)
	if err != nil {
		return nil
	}
	return reply
}

// addresses yields the addresses of a zone's servers: all that are known at once, then those of a few
// hosts more at a time. What goes wrong with a look-up is left in failure.
func (r *Resolver) addresses(ctx context.Context, s step, failure *error) func(yield func([]netip.AddrPort) bool) {
	return func(yield func([]netip.AddrPort) bool) {
		known, unknown := r.addressesOf(s)
		if len(known) > 0 && !yield(known) {
			return
		}
		hosts := unknown[:min(len(unknown), workOf(ctx).limits.Addresses)]
		// IPv4 first, IPv6 where there is none; then IPv6 of hosts whose IPv4 addresses did not help.
		for _, families := range [][]uint16{r.families(), r.families()[1:]} {
			if len(families) == 0 {
				return
			}
			for some := range slices.Chunk(hosts, atATime) {
				for found, err := range r.lookupHosts(ctx, some, families) {
					if err != nil && *failure == nil {
						*failure = err
					}
					if len(found) > 0 && !yield(found) || err != nil && !worthMore(err) {
						return
					}
				}
			}
		}
	}
}

// atATime is how many hosts' addresses are looked up in parallel.
const atATime = 2

// worthMore says whether other hosts may fare better than those that ended with err: they may if that was
// due to the depth at which their addresses are, or to what may be spent there, and not if nothing is left.
func worthMore(err error) bool {
	var limit *limitError
	if errors.As(err, &limit) {
		return limit.limit == "depth" || limit.limit == "lookups"
	}
	return !errors.Is(err, context.DeadlineExceeded)
}

// addressesOf returns the addresses of a zone's servers that are known already, and the hosts, in random
// order, that may have others.
func (r *Resolver) addressesOf(s step) (addrs []netip.AddrPort, unknown []string) {
	addrs = slices.Clone(s.at.servers)
	var elsewhere []string // hosts with glue from above that they may contradict
	for _, host := range s.at.hosts {
		glue := s.at.glue[host]
		found := append(slices.Clone(glue), r.recallHost(s.realm, host)...)
		addrs = append(addrs, r.usable(found)...)
		switch {
		case len(found) == 0 && !dns.IsSubDomain(s.at.zone, host):
			unknown = append(unknown, host)
		case len(glue) > 0 && !dns.IsSubDomain(s.at.zone, host):
			elsewhere = append(elsewhere, host)
		}
	}
	rand.Shuffle(len(unknown), func(i, j int) { unknown[i], unknown[j] = unknown[j], unknown[i] })
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return slices.Compact(addrs), append(unknown, elsewhere...)
}

// usable leaves out addresses of a family that is not to be used.
func (r *Resolver) usable(addrs []netip.AddrPort) []netip.AddrPort {
	return slices.DeleteFunc(addrs, func(a netip.AddrPort) bool {
		return a.Addr().Is4() && r.cfg.NoIPv4 || a.Addr().Is6() && r.cfg.NoIPv6
	})
}

// recallHost returns the addresses of a host that were looked up before. What the root says about a name
// that belongs elsewhere does not count: it may be another's.
func (r *Resolver) recallHost(of *realm, host string) []netip.AddrPort {
	if !of.holds(host, dns.TypeA) {
		if r.cfg.Hosts != nil {
			return nil // who answers it remembers it too
		}
		of = r.root
	}
	var out []netip.AddrPort
	for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if resp := r.recall(of, host, rrtype); resp != nil {
			out = append(out, r.addrsIn(resp.Answer)...)
		}
	}
	return out
}

// addrsIn returns the addresses in an answer section, as name servers'.
func (r *Resolver) addrsIn(answer []dns.RR) []netip.AddrPort {
	var out []netip.AddrPort
	for _, rr := range answer {
		if a, ok := resolver.AddressOf(rr); ok && r.cfg.Allow(a) && len(out) < maxGlue {
			out = append(out, netip.AddrPortFrom(a, r.cfg.Port))
		}
	}
	return out
}

// lookupHosts finds addresses of several hosts in parallel, and yields them as they come.
func (r *Resolver) lookupHosts(ctx context.Context, hosts []string, families []uint16) iter.Seq2[[]netip.AddrPort, error] {
	type found struct {
		addrs []netip.AddrPort
		err   error
	}
	results := make(chan found, len(hosts)) // nobody waits to send, when the first was enough
	for _, host := range hosts {
		go func() {
			addrs, err := resolver.Safely(func() ([]netip.AddrPort, error) { return r.lookupHost(ctx, host, families) })
			results <- found{addrs, err}
		}()
	}
	return func(yield func([]netip.AddrPort, error) bool) {
		for range hosts {
			if f := <-results; !yield(f.addrs, f.err) {
				return
			}
		}
	}
}

// lookupHost finds addresses of one host, of the first family that it has any of.
func (r *Resolver) lookupHost(ctx context.Context, host string, families []uint16) ([]netip.AddrPort, error) {
	w := workOf(ctx)
	if w.depth >= w.limits.Depth {
		return nil, errDepth(w.limits.Depth)
	}
	if r.isGone(w.realm, host) {
		return nil, nil
	}
	if err := w.spendLookup(w.depth); err != nil {
		return nil, err
	}
	var failure error
	for _, rrtype := range families {
		answer, gone, err := r.hostRecords(ctx, w, host, rrtype)
		if addrs := r.addrsIn(answer); len(addrs) > 0 {
			return addrs, nil
		}
		if failure = err; err != nil || gone {
			break
		}
	}
	return nil, failure
}

func (r *Resolver) families() []uint16 {
	switch {
	case r.cfg.NoIPv4:
		return []uint16{dns.TypeAAAA}
	case r.cfg.NoIPv6:
		return []uint16{dns.TypeA}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

// maxHostAliases bounds the aliases of a server's name. There should be none (RFC 2181 section 10.3).
const maxHostAliases = 3

// hostRecords looks up the addresses of a host. gone says that there is no such name: it has no others
// either, and whose name it is, maybe a victim's, is not asked for them.
func (r *Resolver) hostRecords(ctx context.Context, w *work, host string, rrtype uint16) (records []dns.RR, gone bool, err error) {
	next := *w
	next.depth++
	for range maxHostAliases {
		// Each name of an alias chain belongs where it belongs: to the realm, or elsewhere.
		next.realm = w.realm
		if !w.realm.holds(host, rrtype) {
			if r.cfg.Hosts != nil {
				a, err := r.cfg.Hosts.Resolve(w.in(ctx), resolver.Query{Name: host, Type: rrtype, Class: dns.ClassINET})
				if err != nil {
					return nil, false, err
				}
				return a.Answer, a.Rcode == dns.RcodeNameError, nil
			}
			next.realm = r.root
		}
		resp, err := r.fetch(next.in(ctx), host, rrtype, nil, false)
		if err != nil {
			return nil, false, err
		}
		if host = resp.target; host == "" {
			return resp.Answer, resp.Rcode == dns.RcodeNameError, nil
		}
	}
	return nil, false, nil
}

// isGone says that it is known that there is no such host.
func (r *Resolver) isGone(in *realm, host string) bool {
	for _, rrtype := range r.families() {
		if resp := r.recall(in, host, rrtype); resp != nil && resp.Rcode == dns.RcodeNameError {
			return true
		}
	}
	return false
}

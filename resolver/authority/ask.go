package authority

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

const (
	maxStarts   = 12 // servers asked for one question, again ones counted again
	maxAgain    = 8  // of these, as far as servers are asked again
	maxMessages = 20 // for one question, all in all
	maxEach     = 8  // of these, to one server
	hurryAfter  = 3  // servers that were not measured and do not answer: the next ones get less time
	maxRespelt  = 2  // servers asked again in lower case
	maxWeak     = 3  // servers asked that are dead, or were of no use for the zone lately
	soloRounds  = 3  // how often the only server is asked
	rounds      = 2  // how often each of several is
)

// ask is one question on its way to the servers of a zone: the best is asked, the next one when it fails
// or is late, and the first reply that is of use wins. All but the exchanges happens in the goroutine of
// the caller.
type ask struct {
	s       *Servers
	ctx     context.Context
	q       *Question
	order   []*candidate
	probe   *candidate // to be asked alongside
	results chan result
	live    []*exchange
	busy    <-chan struct{} // closed when a server that others are asking has changed
	starts  int
	weak    int
	respelt int
	sent    int
	hint    time.Duration // patience with servers that were not measured, from those that were
	packed  [2][]byte     // the question without and with EDNS, once needed
}

// candidate is one server in its part in an ask.
type candidate struct {
	addr     netip.AddrPort
	class    class
	srv      *server
	tries    int             // times that it was its turn
	sent     int             // messages
	err      error           // it is of no use, and why
	recent   bool            // it was not asked again
	bad      int             // how often it was found to be of no use for the zone
	probe    bool            // it was asked alongside: nobody waits for it
	wait     <-chan struct{} // closed when what others found out about it is known
	patience time.Duration   // how long until a reply is late
	silent   bool            // nothing has come in answer to a message with EDNS
	refused  bool            // it answered such a one with an error
	odd      bool            // it changes the case of names
	byCase   bool            // it was asked without random case
	twin     *dns.Msg        // the first of two such replies
	twinForm form            // of the question that it is the reply to
	held     *result         // a reply without EDNS, while it is made sure that the server drops EDNS
}

// Ask asks the servers of a zone a question until one gives a reply that Question.Accept takes. Its error
// is an *Error, or that of Question.Spend. How many messages it sends is bounded, and so is the time
// that it takes. The caller's functions are called by the calling goroutine only.
func (s *Servers) Ask(ctx context.Context, servers []netip.AddrPort, q Question) (*Reply, error) {
	a := &ask{
		s: s, ctx: ctx, q: &q,
		results: make(chan result, maxMessages+1),
	}
	a.line(servers)
	reply, err := a.run()
	for _, ex := range a.live {
		ex.leave(reply != nil)
		ex.amend(func(st *resolver.Step) { st.Outcome = "not waited for" })
	}
	return reply, err
}

// line puts the servers that may be asked in order.
func (a *ask) line(servers []netip.AddrPort) {
	fit := make([]netip.AddrPort, 0, len(servers))
	for _, addr := range servers {
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		if a.s.mayAsk(addr) && !slices.Contains(a.q.Avoid, addr) {
			fit = append(fit, addr)
		}
	}
	list, probe := a.s.memory.order(a.q.Zone, fit)
	a.order = make([]*candidate, len(list))
	a.hint = firstRTO
	for i, st := range list {
		a.order[i] = &candidate{addr: st.addr, class: st.class, bad: st.bad}
		if st.class == known {
			a.hint = min(a.hint, max(4*st.rtt, leastSlack))
		}
	}
	if probe >= 0 {
		a.probe = a.order[probe]
	}
}

// mayAsk reports whether there can be a name server at addr that is to be asked.
func (s *Servers) mayAsk(addr netip.AddrPort) bool {
	ip := addr.Addr()
	return ip.IsValid() && addr.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() &&
		!(s.cfg.NoIPv4 && ip.Is4()) && !(s.cfg.NoIPv6 && ip.Is6())
}

func (a *ask) run() (*Reply, error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if err := a.ctx.Err(); err != nil {
			return nil, a.failure(err)
		}
		if err := a.advance(); err != nil {
			return nil, err
		}
		if len(a.live) == 0 && a.busy == nil {
			if again, err := a.respell(); err != nil {
				return nil, err
			} else if again {
				continue
			}
			return nil, a.failure(nil)
		}
		timer.Reset(a.untilLate())
		select {
		case res := <-a.results:
			if reply, err := a.settle(res); reply != nil || err != nil {
				return reply, err
			}
		case <-timer.C:
			a.markLate()
		case <-a.busy:
		case <-a.ctx.Done():
		}
	}
}

// advance sees to it that there is one message under way that is not late. Its error is that of
// Question.Spend.
func (a *ask) advance() error {
	a.busy = nil
	for !a.prompt() && a.starts < maxStarts && a.sent < maxMessages {
		c, adm := a.pick()
		if c == nil {
			return nil
		}
		if err := a.start(c, adm, false); err != nil {
			return err
		}
	}
	a.sendProbe()
	return nil
}

// prompt reports whether a reply may come in time.
func (a *ask) prompt() bool {
	for _, ex := range a.live {
		if !ex.late && !ex.to.probe {
			return true
		}
	}
	return false
}

// respell asks a server again by TCP, where no random case is needed, that refused a name in random case
// and is not known to cope with that. It is the last resort.
func (a *ask) respell() (bool, error) {
	for _, c := range a.order {
		_, refused := errors.AsType[Rcode](c.err)
		if !refused || a.q.Tentative || a.respelt == maxRespelt || c.srv == nil || c.odd || !a.room(c) || a.s.memory.copes(c.srv) {
			continue
		}
		a.respelt++
		a.s.counters.oddCase.Add(1)
		c.odd, c.err = true, nil
		return true, a.follow(c, form{tcp: true, edns: !c.refused}, 0)
	}
	return false, nil
}

// pick returns the server whose turn it is and leave to ask it; nil when there is none to be asked now.
func (a *ask) pick() (*candidate, admission) {
	most := rounds
	if len(a.order) == 1 {
		most = soloRounds
	}
	for round := range most {
		if round > 0 && a.starts >= maxAgain {
			break
		}
		for _, c := range a.order {
			if c.err != nil || c.tries != round || c.held != nil || round == 0 && !a.worth(c) || round > 0 && c.class == gone {
				continue
			}
			if adm, ok := a.admit(c); ok {
				return c, adm
			}
		}
	}
	return nil, admission{}
}

func (c *candidate) isWeak() bool { return c.class >= useless }

// worth says whether a server may be tried: of those of which little is to be hoped, only a few are.
func (a *ask) worth(c *candidate) bool {
	return !c.isWeak() || a.weak == 0 || a.weak < maxWeak && c.bad < lameEnough
}

// admit asks for leave to ask c. A server that failed a moment ago is done with; one that too many others
// are asking may be waited for.
func (a *ask) admit(c *candidate) (admission, bool) {
	adm := a.s.memory.admit(c.addr, a.q, isClosed(c.wait))
	switch {
	case errors.Is(adm.err, errHere):
		a.s.counters.busy.Add(1)
		c.err = adm.err
		return adm, false
	case adm.err != nil:
		a.s.counters.spared.Add(1)
		c.err, c.recent = adm.err, c.tries == 0
		return adm, false
	case adm.wait != nil:
		c.wait = adm.wait
		if a.busy == nil {
			a.busy = adm.wait
		}
		return adm, false
	}
	return adm, true
}

// start gives c its turn. Its error is that of Question.Spend.
func (a *ask) start(c *candidate, adm admission, probe bool) error {
	c.srv, c.probe = adm.srv, probe
	c.silent = c.silent || adm.silent
	c.tries++
	a.starts++
	if c.isWeak() {
		a.weak++
	}
	f := adm.form
	f.asIs = f.asIs && a.s.asIs != nil
	c.odd = c.odd || f.tcp || f.asIs
	c.byCase = c.byCase || f.asIs
	if c.refused || c.silent && !f.tcp && !a.s.memory.isEDNS(c.srv) {
		f.edns = false
	}
	if c.tries == soloRounds && !f.tcp && a.s.asIs != nil && !a.s.memory.copes(c.srv) {
		f.asIs, f.edns = true, true // it may be random case that it does not answer
		c.odd, c.byCase = true, true
	}
	if c.twin != nil { // the other one got lost
		f = c.twinForm
	}
	c.patience = adm.patience
	switch {
	case c.tries > 1:
	case c.class == unknown:
		c.patience = min(c.patience, a.hint)
		if a.starts > hurryAfter {
			c.patience = min(c.patience, hurry)
		}
	case c.class == gone: // it has its time to answer, while others are asked
		c.patience = min(c.patience, firstRTO)
	case c.class == known: // servers that use to be faster may have to think about this question
		c.patience = min(c.patience*time.Duration(1+len(a.live)), a.s.cfg.Timeout)
	}
	ex := &exchange{to: c, form: f, patience: c.patience, limit: a.s.cfg.Timeout}
	if f.tcp {
		ex.patience, ex.limit = 2*c.patience, 2*a.s.cfg.Timeout
	}
	return a.send(ex)
}

// sendProbe asks a server that may be back, for once: it is no delay to the question. It is left out when
// there is nothing to spend for it: what is under way may still be answered.
func (a *ask) sendProbe() {
	c := a.probe
	if a.probe = nil; c == nil || c.tries > 0 || c.err != nil || len(a.live) == 0 {
		return
	}
	if adm, ok := a.admit(c); ok {
		if a.start(c, adm, true) == nil {
			a.s.counters.probes.Add(1)
		} else {
			c.tries = 0
		}
	}
	a.busy = nil
}

// send sends a message for which there is leave. Its error is that of Question.Spend.
func (a *ask) send(ex *exchange) error {
	c := ex.to
	ex.s, ex.srv, ex.addr = a.s, c.srv, c.addr
	req, err := a.pack(ex.form.edns)
	if err == nil && a.q.Spend != nil {
		err = a.q.Spend()
	}
	if err != nil {
		a.s.memory.done(c.srv)
		return err
	}
	a.sent++
	c.sent++
	if ex.form.tcp {
		a.s.counters.tcp.Add(1)
	} else {
		a.s.counters.udp.Add(1)
	}
	ex.amend = resolver.TraceOf(a.ctx).Add(resolver.Step{
		Depth: a.q.Depth, Kind: resolver.StepQuery, Zone: a.q.Zone, Name: a.q.Name, Type: dns.Type(a.q.Type).String(),
		Server: c.addr.String(), Transport: ex.form.transport(),
	})
	// What is learned from a reply that comes too late for this question is of use for others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), ex.limit)
	ex.cancel = cancel
	ex.start, ex.began = time.Now(), a.s.cfg.Now()
	a.live = append(a.live, ex)
	results, q := a.results, &Question{Name: a.q.Name, Type: a.q.Type}
	go func() { results <- ex.run(ctx, q, req) }()
	return nil
}

func (a *ask) pack(edns bool) ([]byte, error) {
	i := 0
	if edns {
		i = 1
	}
	if a.packed[i] == nil {
		req, err := request(a.q, edns)
		if err != nil {
			return nil, &resolver.Error{Rcode: dns.RcodeFormatError, Text: "question cannot be sent", Err: err}
		}
		a.packed[i] = req
	}
	return a.packed[i], nil
}

// untilLate is how long until the next message is late.
func (a *ask) untilLate() time.Duration {
	least := time.Hour
	for _, ex := range a.live {
		if !ex.late {
			least = min(least, ex.patience-time.Since(ex.start))
		}
	}
	return max(least, 0)
}

// markLate notes which messages have become late. It is not waited for them alone any more.
func (a *ask) markLate() {
	for _, ex := range a.live {
		if ex.late || time.Since(ex.start) < ex.patience {
			continue
		}
		ex.late = true
		a.s.counters.late.Add(1)
		if ex.form.tcp || ex.confirm || ex.to.class == gone {
			continue
		}
		ex.to.silent = ex.to.silent || ex.form.edns
		a.s.familyChanged(ex.addr, a.s.memory.late(ex.addr, ex.srv, ex.began, false), false)
	}
}

// failure is the error of an ask that ends without a reply.
func (a *ask) failure(cause error) error {
	e := &Error{Zone: a.q.Zone, Err: cause}
	if a.starts >= maxStarts || a.sent >= maxMessages {
		a.s.counters.exhausted.Add(1)
	}
	for _, c := range a.order {
		switch {
		case c.err != nil:
			e.Failures = append(e.Failures, Failure{c.addr, c.err, c.recent})
		case c.tries > 0 && !errors.Is(cause, context.Canceled):
			e.Failures = append(e.Failures, Failure{c.addr, ErrTimeout, false})
		case c.tries > 0:
			e.Failures = append(e.Failures, Failure{c.addr, cause, false})
		}
	}
	return e
}

package authority

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"dens/resolver"
)

const (
	confirmLeast = 150 * time.Millisecond // how long to wait for what shows that a server knows EDNS
	confirmMost  = time.Second
)

// settle decides what an exchange that has ended leads to: a reply for the caller, another message to the
// same server, or nothing more from that server. Its error ends the ask.
func (a *ask) settle(res result) (*Reply, error) {
	a.live = slices.DeleteFunc(a.live, func(ex *exchange) bool { return ex == res.exchange })
	res.amend(func(st *resolver.Step) {
		st.RTT = res.took
		if res.msg != nil {
			st.Rcode = Rcode(res.msg.Rcode).Error()
		}
	})
	c := res.to
	switch {
	case c.err != nil && (res.err != nil || !isAnswer(res.msg.Rcode)):
		res.outcome("of no use any more")
		return nil, nil
	case res.confirm && (res.err != nil || !isAnswer(res.msg.Rcode)):
		return a.release(res)
	case res.err != nil:
		return nil, a.broken(res)
	case res.form.asIs:
		if again, err := a.twins(res); again || err != nil {
			return nil, err
		}
	}
	return a.judge(res)
}

// judge decides about a reply that is whole and as good as authentic.
func (a *ask) judge(res result) (*Reply, error) {
	c := res.to
	switch {
	case res.form.edns && dislikesEDNS(res.msg, a.s.memory.isEDNS(c.srv)):
		a.s.counters.plain.Add(1)
		res.outcome("asked again without EDNS")
		c.refused = true
		// A server that changes case says so only in replies that have the question.
		return nil, a.follow(c, form{tcp: res.form.tcp, asIs: res.form.asIs && len(res.msg.Question) > 0}, 0)
	case !isAnswer(res.msg.Rcode):
		return nil, a.refuse(res)
	}
	if c.refused && !res.form.edns {
		a.s.memory.plain(c.srv, true)
	}
	if c.silent && !res.form.edns && !res.form.tcp && c.held == nil && !a.s.memory.isEDNS(c.srv) {
		// Either the server drops EDNS, or a packet was lost. The reply has no signatures: it is better to
		// know.
		res.outcome("asked again with EDNS, which may just have been lost")
		c.held = &res
		if a.room(c) {
			return nil, a.confirm(res)
		}
	}
	return a.accept(res)
}

// accept gives a reply to the caller, if it takes it.
func (a *ask) accept(res result) (*Reply, error) {
	c := res.to
	var err error
	if a.q.Accept != nil {
		err = a.q.Accept(res.msg)
	}
	if err != nil {
		if errors.Is(err, ErrLame) {
			a.s.counters.lame.Add(1)
			if !a.q.Tentative {
				a.s.memory.penalise(c.addr, a.q, err)
			}
		}
		a.drop(res, err)
		return nil, nil
	}
	a.s.memory.forgive(c.addr, a.q.Zone)
	if !res.form.tcp && !res.form.asIs {
		a.s.memory.coped(c.srv)
	}
	if c.odd && len(res.msg.Question) > 0 {
		if res.form.tcp {
			a.s.memory.odd(c.srv, byTCP)
		} else if res.form.asIs {
			a.s.memory.odd(c.srv, asIs)
		}
	}
	return &Reply{Msg: res.msg, Server: c.addr, Transport: res.form.transport(), RTT: res.took, Amend: res.amend}, nil
}

// refuse settles a failure rcode. It ends an ask for a name that servers may not cope with.
func (a *ask) refuse(res result) error {
	a.s.counters.failures.Add(1)
	cause := Rcode(res.msg.Rcode)
	a.drop(res, cause)
	if a.q.Tentative {
		if res.to.probe {
			return nil
		}
		return a.failure(nil)
	}
	a.s.memory.penalise(res.to.addr, a.q, cause)
	return nil
}

// broken settles an exchange without a reply that is whole. Its error is that of Question.Spend.
func (a *ask) broken(res result) error {
	c, tcp := res.to, res.form.tcp
	plain := form{tcp: true, edns: res.form.edns}
	switch {
	case !tcp && errors.Is(res.err, resolver.ErrCase):
		a.s.counters.oddCase.Add(1)
		c.odd = true
		res.outcome("another spelling: asked again by TCP")
		return a.follow(c, plain, a.s.cfg.Timeout/2)
	case !tcp && errors.Is(res.err, resolver.ErrForged):
		a.s.counters.forged.Add(1)
		res.outcome("flooded with forged replies: asked again by TCP")
		return a.follow(c, plain, 0)
	case !tcp && errors.Is(res.err, errTruncated):
		a.s.counters.truncated.Add(1)
		res.outcome("truncated: asked again by TCP")
		c.byCase = true // half a reply in any spelling is none
		return a.follow(c, plain, 0)
	case tcp && c.odd && !c.byCase && a.s.asIs != nil:
		c.byCase = true
		res.outcome(describe(res.err) + ": asked again by UDP, twice")
		return a.follow(c, form{edns: res.form.edns, asIs: true}, 0)
	case !tcp && errors.Is(res.err, ErrTimeout):
		res.outcome(ErrTimeout.Error())
		c.silent = c.silent || res.form.edns
		return nil
	}
	a.useless(res)
	return nil
}

// useless settles an error after which the server is not asked again.
func (a *ask) useless(res result) {
	cause := res.err
	if res.form.tcp && !errors.Is(cause, errGarbled) {
		cause = fmt.Errorf("%w: %w", errNoTCP, cause)
	}
	if errors.Is(cause, errGarbled) || errors.Is(cause, errQuestion) || errors.Is(cause, errDiffer) {
		a.s.counters.garbled.Add(1)
	}
	a.drop(res, cause)
	network := !res.form.tcp && errors.Is(cause, ErrUnreachable)
	if !network && !errors.Is(cause, errHere) && !a.q.Tentative {
		a.s.memory.penalise(res.to.addr, a.q, cause)
	}
}

// drop is done with a server.
func (a *ask) drop(res result, cause error) {
	res.to.err = cause
	res.outcome(describe(cause))
}

func (res *result) outcome(text string) {
	res.amend(func(st *resolver.Step) { st.Outcome = text })
}

// twins waits for a second reply when there was no random case in the question, and compares the two: a
// forger would have to win twice. It reports whether the second is still to come, or the server is done
// with.
func (a *ask) twins(res result) (again bool, err error) {
	c := res.to
	if c.twin == nil {
		c.twin, c.twinForm = res.msg, res.form
		res.outcome("asked again to compare")
		return true, a.follow(c, res.form, 0)
	}
	same := sameReply(c.twin, res.msg)
	c.twin = nil
	if !same {
		res.err = errDiffer
		a.useless(res)
		return true, nil
	}
	return false, nil
}

// confirm asks once more with EDNS a server that has answered without only. It need not be waited for
// long, since it is known how fast the server is.
func (a *ask) confirm(res result) error {
	limit := min(max(4*res.took, confirmLeast), confirmMost)
	return a.next(&exchange{to: res.to, form: form{edns: true}, patience: limit, limit: limit, confirm: true})
}

// release takes the reply without EDNS that was held back: EDNS did not get through again.
func (a *ask) release(res result) (*Reply, error) {
	c := res.to
	a.s.counters.plain.Add(1)
	a.s.memory.plain(c.srv, res.err == nil)
	if res.err != nil {
		res.outcome(describe(res.err) + ": it drops EDNS")
	} else {
		res.outcome("it does not know EDNS")
	}
	return a.accept(*c.held)
}

// follow sends another message to a server that has reacted. limit is how long to wait for the reply; 0 is
// as long as usual. Its error is that of Question.Spend.
func (a *ask) follow(c *candidate, f form, limit time.Duration) error {
	ex := &exchange{to: c, form: f, patience: c.patience, limit: a.s.cfg.Timeout}
	if f.tcp {
		ex.patience, ex.limit = 2*c.patience, 2*ex.limit // the handshake comes before
	}
	if limit > 0 {
		ex.limit = limit
	}
	return a.next(ex)
}

// room reports whether another message may be sent to a server.
func (a *ask) room(c *candidate) bool { return c.sent < maxEach && a.sent < maxMessages }

// next sends a message that follows from another.
func (a *ask) next(ex *exchange) error {
	c := ex.to
	if !a.room(c) {
		c.err = errTooMuch
		return nil
	}
	a.s.memory.again(c.srv)
	return a.send(ex)
}

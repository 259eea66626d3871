package doh

import (
	"context"
	"net/http"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// exchange is one request and its response. It is used again once released.
//
//	begin --stepBody--> q.Msg is set --+
//	  |                                v
//	  +------------stepTake---------> take --false--> wait
//	  |                                |               |
//	  +------------stepDone-----------> response <-----+
type exchange struct {
	r        *Resource
	q        wire.Query
	response response
	bodyless bool // HEAD
	named    bool // it was asked by name, so that the Accept field counts
	json     bool // the reply is to be JSON
	large    bool // it has a place among the large requests
	head     head // of a Session's request

	room  [intake.MaxSmall]byte // of the request
	reply [4096]byte
}

// exchange returns one for a request that comes now.
func (r *Resource) exchange() *exchange {
	x := r.exchanges.Get().(*exchange)
	x.r = r
	return x
}

// release gives back what the request held.
func (x *exchange) release() {
	x.clear()
	if cap(x.head.scratch) > maxHeader {
		x.head.scratch = nil
	}
	x.head.reset() // its fields are parts of what belongs to others
	x.r.exchanges.Put(x)
}

func (x *exchange) clear() {
	if x.large {
		x.r.in.LeaveLarge()
	}
	x.q.Msg, x.response = nil, response{}
	x.bodyless, x.named, x.json, x.large = false, false, false, false
}

// begin looks at the head of a request that came at the time now.
func (x *exchange) begin(req *request, now time.Time) step {
	x.q.Start = now
	x.bodyless = req.method == http.MethodHead
	next, err := x.read(x.r.conf.Load(), req)
	if err != nil {
		x.refuse(err)
		return stepDone
	}
	return next
}

// refuse makes the response to a request that is not answered, and counts it.
func (x *exchange) refuse(err *refusal) {
	stats := x.r.in.Conf().Stats
	switch err.status {
	case http.StatusServiceUnavailable, http.StatusInternalServerError: // counted where they arise
	case http.StatusRequestTimeout:
		stats.Slow.Add(1)
	default:
		if err != errNoQuery && err != errSilence { // counted by the Intake
			stats.Malformed.Add(1)
		}
	}
	x.response = err.response()
}

// take has the message in q.Msg answered when that needs no waiting.
func (x *exchange) take() (done bool) {
	reply, done := x.r.in.Take(&x.q, x.reply[:0])
	if done {
		x.respond(reply)
	}
	return done
}

// wait has a message answered that take did not answer. The caller holds a place among the requests that wait.
func (x *exchange) wait() { x.respond(x.r.in.Wait(&x.q, x.reply[:0])) }

// waitFor is wait for a client that may go away: ctx ends then.
func (x *exchange) waitFor(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, x.r.in.Conf().QueryTimeout)
	defer cancel()
	x.respond(x.r.in.WaitContext(ctx, &x.q, x.reply[:0]))
}

// own moves the message out of memory that is somebody else's.
func (x *exchange) own() {
	if len(x.q.Msg) <= len(x.room) {
		x.q.Msg = x.room[:copy(x.room[:], x.q.Msg)]
		return
	}
	x.q.Msg = append([]byte(nil), x.q.Msg...)
}

// respond makes the response of a DNS reply.
func (x *exchange) respond(reply []byte) {
	switch {
	case len(reply) > 0:
	case x.q.Kind == wire.Silent:
		x.refuse(errNoQuery)
		return
	default:
		x.refuse(errSilence)
		return
	}
	x.response = response{
		status: http.StatusOK, contentType: typeMessage, body: reply, maxAge: int64(wire.Freshness(reply)), extra: fieldsCORS,
		common: !x.named,
	}
	if x.named {
		x.response.extra = fieldsNamed
	}
	if x.json {
		if err := x.toJSON(reply); err != nil {
			x.refuse(err)
		}
	}
}

// toJSON makes JSON of the response.
func (x *exchange) toJSON(reply []byte) (failed *refusal) {
	defer x.survive(&failed)
	codec := x.r.conf.Load().JSON
	if codec == nil {
		return errNoJSON // it was taken away meanwhile
	}
	body, err := codec.Reply(reply)
	if err != nil {
		x.r.in.Conf().Log.Error("a reply has no JSON form", "error", err)
		return errInternal
	}
	x.response.contentType, x.response.body = typeJSON, body
	return nil
}

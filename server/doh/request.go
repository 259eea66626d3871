package doh

import (
	"bytes"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"dens/internal/wire"
	"dens/server/intake"
)

const maxMessage = 1<<16 - 1 // octets of a DNS message

// request is the head of a request, whatever the HTTP version.
type request struct {
	method       string
	path, query  []byte // as they came, without the "?"
	accept       []byte
	contentType  []byte
	length       int64  // of the body; -1: it is not said
	forwardedFor []byte // lines are joined by commas
	forwarded    []byte
	from         wire.Peer // the other end of the connection
}

// step is what a request needs next.
type step uint8

const (
	stepDone step = iota // its response is made
	stepBody             // its body
	stepTake             // its answer
)

// at reports whether a path is that of the resource. Octets may be escaped that need not be (RFC 3986 section 6.2.2.2).
func (c *Config) at(path []byte) bool {
	if string(path) == c.Path {
		return true
	}
	if bytes.IndexByte(path, '%') < 0 {
		return false
	}
	plain, err := url.PathUnescape(string(path))
	return err == nil && plain == c.Path
}

// read looks at the head of a request.
func (x *exchange) read(conf *Config, req *request) (step, *refusal) {
	if !conf.at(req.path) {
		return stepDone, errPath
	}
	switch req.method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	case http.MethodOptions:
		x.response = response{status: http.StatusNoContent, maxAge: -1, extra: fieldsPreflight}
		return stepDone, nil
	default:
		return stepDone, errMethod
	}
	addr, err := conf.client(req)
	if err != nil {
		return stepDone, err
	}
	x.q.From = wire.Peer{Addr: addr, Protocol: req.from.Protocol}
	if req.method != http.MethodPost {
		return stepTake, x.readGet(conf, req)
	}
	if !isMessage(req.contentType) {
		return stepDone, errType
	}
	if req.length > maxMessage {
		return stepDone, errTooLong
	}
	return stepBody, nil
}

func isMessage(contentType []byte) bool {
	if string(contentType) == typeMessage {
		return true
	}
	kind, _, err := mime.ParseMediaType(string(contentType))
	return err == nil && kind == typeMessage
}

// readGet reads the query string: dns= holds a message (RFC 8484 section 4.1), name= asks by name, and for JSON
// unless ct= or the Accept field says otherwise.
func (x *exchange) readGet(conf *Config, req *request) *refusal {
	if text, ok := bytes.CutPrefix(req.query, []byte("dns=")); ok && !bytes.ContainsAny(text, "%&+;") {
		return x.decode(text)
	}
	values, err := url.ParseQuery(string(req.query))
	if err != nil {
		return errString
	}
	switch {
	case len(values["dns"]) == 1:
		return x.decode([]byte(values.Get("dns")))
	case len(values["dns"]) > 1:
		return errTwice
	case !values.Has("name"):
		return errNoParam
	case conf.JSON == nil:
		return errNoJSON
	}
	json, failed := wantsJSON(values.Get("ct"), string(req.accept))
	if failed != nil {
		return failed
	}
	x.named, x.json = true, json
	return x.fromNames(conf.JSON, values)
}

// fromNames has the codec make the message.
func (x *exchange) fromNames(codec JSONCodec, values url.Values) (failed *refusal) {
	defer x.survive(&failed)
	msg, err := codec.Request(values)
	if err != nil {
		return &refusal{http.StatusBadRequest, err.Error()}
	}
	x.q.Msg = msg
	return nil
}

// survive is for panics of the codec; the Intake survives those of the Handler.
func (x *exchange) survive(failed **refusal) {
	if cause := recover(); cause != nil {
		x.r.in.LogPanic(cause)
		*failed = errInternal
	}
}

// decode decodes base64url. Padding, which RFC 8484 section 6 forbids, is let through.
func (x *exchange) decode(text []byte) *refusal {
	text = bytes.TrimRight(text, "=")
	n := base64.RawURLEncoding.DecodedLen(len(text))
	if n > maxMessage {
		return errTooLong
	}
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 { // the decoder would skip them
		return errBase64
	}
	room := x.room[:]
	if n > intake.MaxSmall {
		room = make([]byte, n)
	}
	n, err := base64.RawURLEncoding.Decode(room, text)
	if err != nil {
		return errBase64
	}
	x.q.Msg = room[:n]
	return nil
}

// wantsJSON tells the form of a reply to name=. The parameter counts before the field.
func wantsJSON(ct, accept string) (bool, *refusal) {
	switch ct {
	case typeMessage:
		return false, nil
	case typeJSON, "application/json", "application/x-javascript":
		return true, nil
	case "":
		return !strings.Contains(accept, typeMessage) || strings.Contains(accept, "json"), nil
	}
	return false, errForm
}

package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// query is a DNS request that came by HTTP.
type query struct {
	msg   []byte
	named bool // it was asked by name, so that the Accept header counts
	json  bool // the reply is to be JSON
	large bool // it has a place in Server.large, which is to be given back
}

func (s *Server) readQuery(r *http.Request, conf *Config) (query, error) {
	var q query
	var err error
	if r.Method == http.MethodPost {
		q, err = s.readPost(r, conf)
	} else {
		q, err = readGet(r.URL.RawQuery, r.Header.Get("Accept"), conf.JSON)
	}
	if err == nil && malformed(q.msg) {
		if q.large {
			s.in.LeaveLarge()
		}
		return query{}, &httpError{http.StatusBadRequest, "this is no DNS query"}
	}
	return q, err
}

// readPost reads the body (RFC 8484 section 4.1). One that does not fit what is pooled needs a place
// among the large requests.
func (s *Server) readPost(r *http.Request, conf *Config) (query, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeMessage {
		return query{}, &httpError{http.StatusUnsupportedMediaType, "the content type must be " + typeMessage}
	}
	if r.ContentLength > maxMessage {
		return query{}, errTooLong()
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r.Body, maxSmall+1); errors.Is(err, io.EOF) {
		return query{msg: body.Bytes()}, nil
	} else if err != nil {
		return query{}, err
	}
	if !s.in.EnterLarge() {
		return query{}, &httpError{http.StatusServiceUnavailable, "too many large requests under way"}
	}
	_, err = io.CopyN(&body, r.Body, maxMessage-maxSmall)
	switch {
	case errors.Is(err, io.EOF):
		return query{msg: body.Bytes(), large: true}, nil
	case err == nil:
		err = errTooLong()
	}
	s.in.LeaveLarge()
	return query{}, err
}

func errTooLong() error {
	return &httpError{http.StatusRequestEntityTooLarge, "a DNS message has at most 65535 octets"}
}

// readGet reads the query string: dns= holds a message (RFC 8484 section 4.1), name= asks by name, and
// for JSON unless ct= or the Accept header says otherwise.
func readGet(rawQuery, accept string, codec JSONCodec) (query, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return query{}, &httpError{http.StatusBadRequest, "the query string does not parse"}
	}
	switch {
	case len(values["dns"]) == 1:
		msg, err := decodeParam(values.Get("dns"))
		return query{msg: msg}, err
	case len(values["dns"]) > 1:
		return query{}, &httpError{http.StatusBadRequest, "more than one dns parameter"}
	case !values.Has("name"):
		return query{}, &httpError{http.StatusBadRequest, "the dns parameter is missing"}
	case codec == nil:
		return query{}, &httpError{http.StatusUnsupportedMediaType, typeJSON + " is not offered here"}
	}
	json, err := wantsJSON(values.Get("ct"), accept)
	if err != nil {
		return query{}, err
	}
	msg, err := codec.Request(values)
	if err != nil {
		return query{}, &httpError{http.StatusBadRequest, err.Error()}
	}
	return query{msg: msg, named: true, json: json}, nil
}

// decodeParam decodes base64url. Padding, which RFC 8484 section 6 forbids, is let through.
func decodeParam(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	if base64.RawURLEncoding.DecodedLen(len(text)) > maxMessage {
		return nil, errTooLong()
	}
	if strings.ContainsAny(text, "\r\n") { // the decoder would skip them
		return nil, &httpError{http.StatusBadRequest, "the dns parameter is no base64url"}
	}
	msg, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, &httpError{http.StatusBadRequest, "the dns parameter is no base64url"}
	}
	return msg, nil
}

// wantsJSON tells the form of a reply to name=. The parameter counts before the header.
func wantsJSON(ct, accept string) (bool, error) {
	switch ct {
	case typeMessage:
		return false, nil
	case typeJSON, "application/json", "application/x-javascript":
		return true, nil
	case "":
		return !strings.Contains(accept, typeMessage) || strings.Contains(accept, "json"), nil
	}
	return false, &httpError{http.StatusUnsupportedMediaType, "ct must be " + typeJSON + " or " + typeMessage}
}

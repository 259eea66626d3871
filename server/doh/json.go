package doh

import "net/url"

// JSONCodec turns the query string of an application/dns-json request into a DNS message, and the reply
// to it into JSON as the public resolvers give it: Status, TC, RD, RA, AD, CD, Question, Answer,
// Authority and, where there is one, extended_dns_errors. It is safe for concurrent use.
type JSONCodec interface {
	// Request reads name, type, do and cd. Its error goes to the client, with status 400, so it holds
	// nothing that a client should not see.
	Request(query url.Values) ([]byte, error)
	// Reply writes the JSON of a DNS reply. An error means that the reply does not parse.
	Reply(reply []byte) ([]byte, error)
}

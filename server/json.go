package server

import "dens/server/doh"

// JSONCodec turns application/dns-json into DNS messages and back.
type JSONCodec = doh.JSONCodec

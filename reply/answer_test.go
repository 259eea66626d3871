package reply_test

import (
	"testing"
	"time"

	"dens/cache"
	"dens/internal/wire"
	"dens/server/intake"
)

// answer has a cache answer a request, without a transport.
func answer(t testing.TB, c *cache.Cache, req []byte, from wire.Peer) []byte {
	t.Helper()
	reply, ok := intake.New(intake.Config{}, c).Answer(t.Context(), &wire.Query{Msg: req, From: from, Start: time.Now()}, nil)
	if !ok {
		t.Fatal("there is no place for a request")
	}
	return reply
}

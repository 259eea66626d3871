package intake

import (
	"testing"
	"time"

	"dens/internal/wire"
)

// TestPanics: one costs a request and no more, though nothing that it leaves behind makes sense.
func TestPanics(t *testing.T) {
	for name, mess := range map[string]func(q *wire.Query){
		"plain":        func(*wire.Query) {},
		"no message":   func(q *wire.Query) { q.Msg = nil },
		"bad question": func(q *wire.Query) { q.QuestionEnd = 1 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			stats := new(Stats)
			in := New(Config{Stats: stats}, handlerFunc(func(q *wire.Query, _ []byte) []byte {
				mess(q)
				panic("on purpose")
			}))
			defer in.Close()
			q := wire.Query{Msg: packed(t, question("example.org")), Start: time.Now()}
			reply, done := in.Take(&q, nil)
			if want := name == "plain"; !done || len(reply) > 0 != want {
				t.Errorf("%x, %v", reply, done)
			}
			q = wire.Query{Msg: packed(t, question("example.org")), Start: time.Now()}
			q.Peek()
			if reply := in.Wait(&q, nil); len(reply) > 0 != (name == "plain") {
				t.Errorf("%x", reply)
			}
			if stats.Panics.Load() != 2 {
				t.Errorf("%d panics were counted", stats.Panics.Load())
			}
		})
	}
}

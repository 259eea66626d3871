package server

import (
	"fmt"
	"runtime/debug"
	"time"
)

// logPanic logs a panic with its stack. One that clients can cause at will must not fill the disk: in a
// second, only the first is logged, and Stats.Panics counts the others.
func (s *Server) logPanic(conf *Config, cause any) {
	last, now := s.panicked.Load(), time.Now().UnixNano()
	if last != 0 && now-last < int64(panicPause) || !s.panicked.CompareAndSwap(last, now) {
		return
	}
	conf.Log.Error("panic while answering", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
}

// panicPause is how long a panic keeps the next ones out of the log.
const panicPause = time.Second

package intake

import (
	"fmt"
	"runtime/debug"
	"time"
)

// logPanic logs a panic with its stack. One that clients can cause at will must not fill the disk: in a
// second, only the first is logged, and Stats.Panics counts the others.
func (in *Intake) logPanic(conf *Config, cause any) {
	last, now := in.panicked.Load(), time.Now().UnixNano()
	if last != 0 && now-last < int64(panicPause) || !in.panicked.CompareAndSwap(last, now) {
		return
	}
	conf.Log.Error("panic while answering", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
}

// panicPause is how long a panic keeps the next ones out of the log.
const panicPause = time.Second

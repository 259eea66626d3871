package resolver

import (
	"fmt"
	"runtime/debug"

	"github.com/miekg/dns"
)

// Safely returns what fn does. A panic becomes an *Error: on a goroutine of its own it would end the server.
func Safely[T any](fn func() (T, error)) (out T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Errorf(dns.ExtendedErrorCodeOther, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "internal error")
		}
	}()
	return fn()
}

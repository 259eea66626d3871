package configs

import (
	"fmt"
	"strconv"
	"strings"
)

// units are what a size can be given in, the greatest first.
var units = [...]struct {
	name   string
	octets int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// size reads a number of octets such as 256MiB.
func (v value) size(dst *int64, least, most int64) {
	expected := fmt.Sprintf("a size from %s to %s, such as 64MiB", shortSize(least), shortSize(most))
	t, ok := v.text(expected)
	if !ok {
		return
	}
	n, ok := parseSize(t.val)
	if !ok || n < least || n > most {
		v.bad(quote(t.raw), expected)
		return
	}
	*dst = n
}

func parseSize(s string) (int64, bool) {
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimRight(number, " "), 10, 32)
		return int64(n) * u.octets, err == nil
	}
	return 0, false
}

// shortSize prints a size in the greatest unit that divides it.
func shortSize(n int64) string {
	for _, u := range units {
		if n%u.octets == 0 {
			return strconv.FormatInt(n/u.octets, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

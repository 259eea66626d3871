package ens

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// acePrefix marks an A-label (RFC 5890 section 2.3.2.1).
const acePrefix = "xn--"

// Parameters of Punycode (RFC 3492 section 5).
const (
	punyBase        = 36
	punyTMin        = 1
	punyTMax        = 26
	punySkew        = 38
	punyDamp        = 700
	punyInitialBias = 72
	punyInitialN    = 128
)

var errPunycode = errors.New("not Punycode (RFC 3492)")

// decodeALabel returns the Unicode form of an A-label. It is strict: the Unicode form, encoded again,
// must give the same A-label, so that no two DNS names lead to one name on the chain.
func decodeALabel(label string) (string, error) {
	plain, err := decodePunycode(strings.TrimPrefix(label, acePrefix))
	if err != nil {
		return "", fmt.Errorf("label %s: %w", label, err)
	}
	if isASCII(plain) {
		return "", fmt.Errorf("label %s holds no Unicode", label)
	}
	if again := acePrefix + encodePunycode(plain); again != label {
		return "", fmt.Errorf("label %s is to be written %s", label, again)
	}
	return plain, nil
}

// decodePunycode decodes as in RFC 3492 section 6.2. Work is bounded by the length of s squared, which
// the caller bounds by that of a DNS label.
func decodePunycode(s string) (string, error) {
	var out []rune
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		out = []rune(s[:i])
		s = s[i+1:]
	}
	n, i, bias := int64(punyInitialN), int64(0), int64(punyInitialBias)
	for len(s) > 0 {
		before, weight := i, int64(1)
		for k := int64(punyBase); ; k += punyBase {
			if s == "" {
				return "", errPunycode
			}
			digit := punyDigit(s[0])
			s = s[1:]
			if digit < 0 || digit > (math.MaxInt32-i)/weight {
				return "", errPunycode
			}
			i += digit * weight
			t := punyThreshold(k, bias)
			if digit < t {
				break
			}
			if weight > math.MaxInt32/(punyBase-t) {
				return "", errPunycode
			}
			weight *= punyBase - t
		}
		points := int64(len(out) + 1)
		bias = punyAdapt(i-before, points, before == 0)
		n += i / points
		i %= points
		if n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return "", errPunycode
		}
		out = slices.Insert(out, int(i), rune(n))
		i++
	}
	return string(out), nil
}

// encodePunycode encodes as in RFC 3492 section 6.3. s is valid UTF-8 of the length of a name.
func encodePunycode(s string) string {
	points := []rune(s)
	var out []byte
	for _, r := range points {
		if r < punyInitialN {
			out = append(out, byte(r))
		}
	}
	basic := int64(len(out))
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := int64(punyInitialN), int64(0), int64(punyInitialBias)
	for done := basic; done < int64(len(points)); {
		next := int64(math.MaxInt32)
		for _, r := range points {
			if int64(r) >= n && int64(r) < next {
				next = int64(r)
			}
		}
		delta += (next - n) * (done + 1)
		n = next
		for _, r := range points {
			if int64(r) < n {
				delta++
			}
			if int64(r) != n {
				continue
			}
			out = appendPunyNumber(out, delta, bias)
			bias = punyAdapt(delta, done+1, done == basic)
			delta = 0
			done++
		}
		delta++
		n++
	}
	return string(out)
}

func appendPunyNumber(out []byte, v, bias int64) []byte {
	for k := int64(punyBase); ; k += punyBase {
		t := punyThreshold(k, bias)
		if v < t {
			return append(out, punyChar(v))
		}
		out = append(out, punyChar(t+(v-t)%(punyBase-t)))
		v = (v - t) / (punyBase - t)
	}
}

func punyThreshold(k, bias int64) int64 { return min(max(k-bias, punyTMin), punyTMax) }

// punyAdapt is the bias function of RFC 3492 section 6.1.
func punyAdapt(delta, points int64, first bool) int64 {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := int64(0)
	for delta > (punyBase-punyTMin)*punyTMax/2 {
		delta /= punyBase - punyTMin
		k += punyBase
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}

func punyDigit(c byte) int64 {
	switch {
	case c >= 'a' && c <= 'z':
		return int64(c - 'a')
	case c >= '0' && c <= '9':
		return int64(c-'0') + 26
	default:
		return -1 // capitals too: names come in lower case
	}
}

func punyChar(d int64) byte {
	if d < 26 {
		return byte('a' + d)
	}
	return byte('0' + d - 26)
}

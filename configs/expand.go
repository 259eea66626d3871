package configs

import (
	"strings"
)

// maxExpanded bounds the length of a value after its variables were put in.
const maxExpanded = 16 << 10

// expand puts the values of environment variables in the place of ${NAME}; $${ stands for ${ itself.
// What a variable holds is not expanded again. found and want describe a problem, free of what
// variables hold; want is "" when there is none.
func expand(raw string, env func(string) (string, bool)) (val string, expanded bool, found, want string) {
	var b strings.Builder
	for rest := raw; ; {
		i := strings.Index(rest, "${")
		if i < 0 {
			b.WriteString(rest)
			break
		}
		if i > 0 && rest[i-1] == '$' {
			b.WriteString(rest[:i-1])
			b.WriteString("${")
			rest = rest[i+2:]
			continue
		}
		name, after, closed := strings.Cut(rest[i+2:], "}")
		if !closed || !isVariable(name) {
			return "", false, quote(redactURL(raw)), "${NAME} for a variable, or $${ for ${ itself"
		}
		held, ok := env(name)
		if !ok {
			return "", false, "${" + name + "}, which is not set", "an environment variable of that name"
		}
		b.WriteString(rest[:i])
		b.WriteString(held)
		rest, expanded = after, true
		if b.Len() > maxExpanded {
			return "", false, "a value that is too long after ${" + name + "}", "a shorter one"
		}
	}
	val = b.String()
	if expanded && strings.ContainsFunc(val, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return "", false, quote(redactURL(raw)) + " with a control character in a variable", "plain text"
	}
	return val, expanded, "", ""
}

func isVariable(name string) bool {
	for i, c := range name {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= 128
}

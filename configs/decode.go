package configs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder reads one file. lines remembers where each key's value stands, for the checks that come after.
type decoder struct {
	file     string
	env      func(string) (string, bool)
	lines    map[string]int
	broken   []bool // of each element of names: its problems are reported already
	problems []*Problem
}

func (d *decoder) add(line int, key, found, expected string) {
	d.problems = append(d.problems, &Problem{File: d.file, Line: max(line, 1), Key: key, Found: found, Expected: expected})
}

// addAt reports a problem of the key at path, or of the nearest key above it that the file has.
func (d *decoder) addAt(path, found, expected string) {
	at := path
	for d.lines[at] == 0 && at != "" {
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	if d.lines[path] == 0 && !strings.HasPrefix(found, "no ") {
		found += " (the default)"
	}
	d.add(d.lines[at], path, found, expected)
}

// value is one node of the file and the path of its key.
type value struct {
	d    *decoder
	node *yaml.Node
	path string
}

func (v value) bad(found, expected string) { v.d.add(v.node.Line, v.path, found, expected) }

// what describes the node's kind for a message about a wrong type.
func (v value) what() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if v.node.ShortTag() == "!!null" {
		return "nothing"
	}
	return quote(v.node.Value)
}

// fields reads a mapping; each key must be in known and come once. A section left empty keeps its defaults.
func (v value) fields(known map[string]func(value)) {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null" {
		return
	}
	v.entries(func(key string, child value) {
		read, ok := known[key]
		if !ok {
			child.bad("an unknown key", suggest(key, slices.Sorted(maps.Keys(known))))
			return
		}
		read(child)
	})
}

// entries calls each for every key of a mapping, once.
func (v value) entries(each func(key string, child value)) {
	if v.node.Kind != yaml.MappingNode {
		v.bad(v.what(), "a mapping of keys")
		return
	}
	v.d.lines[v.path] = v.node.Line
	first := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, n := v.node.Content[i], v.node.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			v.d.add(k.Line, v.path, "a key that is no word", "a word")
			continue
		}
		child := value{d: v.d, node: n, path: join(v.path, k.Value)}
		if line, twice := first[k.Value]; twice {
			v.d.add(k.Line, child.path, fmt.Sprintf("the key a second time (the first is on line %d)", line), "it once")
			continue
		}
		first[k.Value] = k.Line
		v.d.lines[child.path] = n.Line
		each(k.Value, child)
	}
}

// join returns the path of key below path, with keys that are no words in quotes.
func join(path, key string) string {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) || len(key) > 80 || key == "" {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// listOf reads a list of values into dst, which it replaces. An empty list is nil.
func listOf[T any](v value, dst *[]T, parse func(value) (T, bool)) {
	if v.node.Kind != yaml.SequenceNode {
		v.bad(v.what(), "a list")
		return
	}
	if len(v.node.Content) > maxItems {
		v.bad(fmt.Sprintf("%d elements", len(v.node.Content)), fmt.Sprintf("at most %d", maxItems))
		return
	}
	*dst = nil
	for i, n := range v.node.Content {
		child := value{d: v.d, node: n, path: v.path + "[" + strconv.Itoa(i) + "]"}
		v.d.lines[child.path] = n.Line
		if item, ok := parse(child); ok {
			*dst = append(*dst, item)
		}
	}
}

// text is a string value: raw as in the file, val with its variables expanded.
type text struct {
	raw, val string
	expanded bool
}

func (v value) scalar(expected string) (string, bool) {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() == "!!null" {
		v.bad(v.what(), expected)
		return "", false
	}
	return v.node.Value, true
}

// text reads a string and expands its variables.
func (v value) text(expected string) (text, bool) {
	raw, ok := v.scalar(expected)
	if !ok {
		return text{}, false
	}
	val, expanded, found, want := expand(raw, v.d.env)
	if want != "" {
		v.bad(found, want)
		return text{}, false
	}
	return text{raw: raw, val: val, expanded: expanded}, true
}

// plain reads a string that is shown to people and so must not come from a variable.
func (v value) plain(expected string) (string, bool) {
	t, ok := v.text(expected)
	if ok && t.expanded {
		v.bad(quote(t.raw), expected+" without a variable: this value is shown, and what variables hold never is")
		return "", false
	}
	return t.val, ok
}

func (v value) secret(dst *Secret) {
	if t, ok := v.text("a text"); ok {
		*dst = NewSecret(t.val, t.raw)
	}
}

// word reads one of a few words.
func (v value) word(dst *string, words ...string) {
	expected := strings.Join(words, " or ")
	t, ok := v.text(expected)
	if !ok {
		return
	}
	if !slices.Contains(words, t.val) {
		v.bad(quote(t.raw), expected)
		return
	}
	*dst = t.val
}

func (v value) boolean(dst *bool) {
	switch {
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool" && strings.EqualFold(v.node.Value, "true"):
		*dst = true
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool" && strings.EqualFold(v.node.Value, "false"):
		*dst = false
	default:
		v.bad(v.what(), "true or false")
	}
}

func (v value) integer(dst *int, least, most int) {
	n := int64(*dst)
	v.integer64(&n, int64(least), int64(most))
	*dst = int(n)
}

func (v value) integer64(dst *int64, least, most int64) {
	expected := fmt.Sprintf("a whole number from %d to %d", least, most)
	s, ok := v.scalar(expected)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		v.bad(v.what(), expected)
		return
	}
	*dst = n
}

func (v value) number(dst *float64, most float64) {
	expected := fmt.Sprintf("a number from 0 to %g", most)
	s, ok := v.scalar(expected)
	if !ok {
		return
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0 && n <= most) { // written so that NaN fails
		v.bad(v.what(), expected)
		return
	}
	*dst = n
}

// duration reads a duration such as 15m. 0 is allowed where off is true.
func (v value) duration(dst *time.Duration, off bool, least, most time.Duration) {
	expected := fmt.Sprintf("a duration from %s to %s, such as 90s, 15m or 24h", short(least), short(most))
	if off {
		expected += ", or 0 for off"
	}
	t, ok := v.text(expected)
	if !ok {
		return
	}
	n, err := time.ParseDuration(t.val)
	if err != nil || (n < least || n > most) && (!off || n != 0) {
		v.bad(quote(t.raw), expected)
		return
	}
	*dst = n
}

// short prints a duration without units that are zero: 24h instead of 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of a configuration file.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 16      // levels of nesting
	maxItems = 1000    // elements of one list
)

// Load reads the file at path and lays it over the defaults. env looks up environment variables
// (os.LookupEnv); nil knows none. The error joins a *Problem for each thing that is wrong.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, data, env)
}

// Parse lays the YAML text over the defaults: a key that is absent keeps its default; a list, the
// chains and the names replace theirs as a whole. name is the file's name in errors.
func Parse(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	d := &decoder{file: name, env: env, lines: map[string]int{}}
	cfg := Default()
	if root := d.document(data); root != nil {
		d.config(value{d: d, node: root}, cfg)
		d.check(cfg)
	}
	if err := joinProblems(d.problems); err != nil {
		return nil, err
	}
	cfg.Places = Places{File: name, Lines: d.lines}
	return cfg, nil
}

// document returns the root of the one YAML document, nil when there is none or it is broken.
func (d *decoder) document(data []byte) *yaml.Node {
	if len(data) > maxFile {
		d.add(1, "", fmt.Sprintf("more than %d bytes", maxFile), "a smaller file")
		return nil
	}
	if !d.cleanText(data) {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil // an empty file: all defaults
	}
	if err != nil {
		d.syntax(err)
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		d.add(max(second.Line, 1), "", "a second document", "one document")
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil
	}
	if len(doc.Content) != 1 || !d.tame(doc.Content[0], 0) {
		return nil
	}
	return doc.Content[0]
}

// cleanText reports bytes that YAML does not allow, with their line, which the YAML library would not.
func (d *decoder) cleanText(data []byte) bool {
	line := 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			d.add(line, "", fmt.Sprintf("byte 0x%02x", data[0]), "UTF-8 text")
			return false
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			d.add(line, "", fmt.Sprintf("control character 0x%02x", r), "plain text")
			return false
		}
		data = data[size:]
	}
	return true
}

// syntax reports an error of the YAML library, which carries its line in its text.
func (d *decoder) syntax(err error) {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: ")
	line := 1
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	d.add(max(line, 1), "", "broken YAML ("+text+")", "YAML")
}

// tame refuses what a configuration has no use for and an attacker may have: anchors (and so aliases), tags,
// deep nesting.
func (d *decoder) tame(n *yaml.Node, depth int) bool {
	switch {
	case n.Anchor != "": // without anchors there are no aliases
		d.add(n.Line, "", "anchor "+quote("&"+n.Anchor), "no anchor")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.add(n.Line, "", "tag "+quote(n.Tag), "no tag")
		return false
	case depth > maxDepth:
		d.add(n.Line, "", "nesting deeper than "+strconv.Itoa(maxDepth), "fewer levels")
		return false
	}
	for _, child := range n.Content {
		if !d.tame(child, depth+1) {
			return false
		}
	}
	return true
}

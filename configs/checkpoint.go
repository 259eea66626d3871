package configs

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// Checkpoint is the root of the beacon block that a light client begins with: Root, or the first line of the
// file File.
type Checkpoint struct {
	Root [32]byte
	File string // holds nothing of variables
}

// maxCheckpoint bounds the file of a checkpoint, in bytes.
const maxCheckpoint = 64 << 10

const rootForm = "the root of a beacon block: 0x and 64 hex digits"

// IsZero reports whether there is no checkpoint.
func (c Checkpoint) IsZero() bool { return c == Checkpoint{} }

// String returns the root in hexadecimal digits or the path of the file, "" without either.
func (c Checkpoint) String() string {
	if c.File != "" || c.IsZero() {
		return c.File
	}
	return "0x" + hex.EncodeToString(c.Root[:])
}

// MarshalText returns what String returns.
func (c Checkpoint) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Read returns the root, from the file where there is one; key is what errors call the value, such as
// "chains.ethereum.checkpoint". The file holds the root on a line of its own; what follows a # and empty
// lines do not count. The error is a *KeyError, of a *Problem where the file's text is wrong.
func (c Checkpoint) Read(key string) ([32]byte, error) {
	if c.File == "" {
		return c.Root, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return [32]byte{}, &KeyError{key, fmt.Errorf("%w; expected a file with %s", err, rootForm)}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCheckpoint+1))
	if err != nil {
		return [32]byte{}, &KeyError{key, err}
	}
	root, problem := parseCheckpointFile(string(data))
	if problem != nil {
		problem.File = c.File
		return [32]byte{}, &KeyError{key, problem}
	}
	return root, nil
}

// parseCheckpointFile reads the text of a checkpoint's file. The problem lacks File.
func parseCheckpointFile(text string) (root [32]byte, problem *Problem) {
	if len(text) > maxCheckpoint {
		return root, &Problem{Line: 1, Found: fmt.Sprintf("more than %d bytes", maxCheckpoint), Expected: rootForm}
	}
	line, found := 0, 0
	for s := range strings.Lines(text) {
		line++
		s, _, _ = strings.Cut(s, "#")
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if found > 0 {
			return root, &Problem{Line: line, Found: quote(s) + fmt.Sprintf(" after the root on line %d", found), Expected: "one root and nothing else"}
		}
		var ok bool
		if root, ok = parseRoot(s); !ok {
			return root, &Problem{Line: line, Found: quote(s), Expected: rootForm}
		}
		found = line
	}
	if found == 0 {
		return root, &Problem{Line: max(line, 1), Found: "no root", Expected: rootForm}
	}
	return root, nil
}

// parseRoot reads 0x and 64 hex digits. No block has the root zero.
func parseRoot(s string) (root [32]byte, ok bool) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok || len(digits) != 64 {
		return root, false
	}
	if _, err := hex.Decode(root[:], []byte(digits)); err != nil {
		return [32]byte{}, false
	}
	return root, root != [32]byte{}
}

// checkpoint reads a root, which may come from a variable, or the path of a file; "" is none.
func (v value) checkpoint(dst *Checkpoint) {
	const expected = rootForm + ", or the path of a file that holds it"
	t, ok := v.text(expected)
	if !ok {
		return
	}
	if root, ok := parseRoot(t.val); ok {
		*dst = Checkpoint{Root: root}
		return
	}
	switch {
	case t.val == "" && !t.expanded:
		*dst = Checkpoint{}
	case t.expanded || strings.HasPrefix(t.val, "0x") || len(t.val) == 64 && strings.Trim(t.val, "0123456789abcdefABCDEF") == "":
		v.bad(quote(t.raw), expected) // a root that is mistyped, not the name of a file
	default:
		*dst = Checkpoint{File: t.val}
	}
}

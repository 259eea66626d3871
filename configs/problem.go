package configs

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"unicode/utf8"
)

// maxProblems bounds how many problems of one file are reported.
const maxProblems = 50

// Problem is one thing that is wrong with a configuration file. Found quotes the file's own text, never
// what a variable held.
type Problem struct {
	File     string
	Line     int    // from 1
	Key      string // such as "chains.ethereum.rpc[0]"; "" is the file as a whole
	Found    string
	Expected string
}

// Error returns the problem on one line.
func (p *Problem) Error() string {
	where := fmt.Sprintf("%s:%d: ", p.File, p.Line)
	if p.Key != "" {
		where += p.Key + ": "
	}
	return where + "found " + p.Found + ", expected " + p.Expected
}

// KeyError is something wrong with what the value of a key names, such as a file that cannot be read.
type KeyError struct {
	Key string // such as "resolve.root_hints"
	Err error
}

// Error returns the key and what is wrong.
func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *KeyError) Unwrap() error { return e.Err }

// Locate says of an error that wraps a *KeyError where the configuration has the key; of others, and of
// defaults, it says nothing.
func (c *Config) Locate(err error) error {
	var key *KeyError
	if !errors.As(err, &key) || c.Places.Lines[key.Key] == 0 {
		return err
	}
	return fmt.Errorf("%s:%d: %w", c.Places.File, c.Places.Lines[key.Key], err)
}

// joinProblems returns all problems as one error, in the order of their lines; nil when there is none.
func joinProblems(problems []*Problem) error {
	if len(problems) == 0 {
		return nil
	}
	sort.SliceStable(problems, func(i, j int) bool { return problems[i].Line < problems[j].Line })
	var errs []error
	for i, p := range problems {
		if i == maxProblems {
			errs = append(errs, fmt.Errorf("%s:%d: and %d more problems", p.File, p.Line, len(problems)-i))
			break
		}
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// quote returns s in quotes, shortened, on one line.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "..."
	}
	return strconv.Quote(s)
}

package recursive_test

import (
	"strings"
	"testing"

	"dens/resolver/recursive"
)

func TestParseHintsRefuses(t *testing.T) {
	tests := map[string]string{
		"":                                "found no root server with an address",
		". NS a.\n":                       "found no root server with an address",
		"a. A 192.0.2.1\n":                "found no root server with an address",
		". NS a.\nb. A 192.0.2.1\n":       "found no root server with an address",
		"org. NS a.\na. A 192.0.2.1\n":    "found an NS record of org.",
		". TXT x\n":                       "found a record of type TXT",
		". NS a.\na. A 192.0.2.300\n":     "line: 2",
		strings.Repeat(". NS a.\n", 2000): "more than 1000 records",
	}
	for text, want := range tests {
		if _, err := recursive.ParseHints(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := recursive.ParseHints(strings.NewReader(". NS A.\na. A 192.0.2.1\na. AAAA 2001:db8::1\n")); err != nil {
		t.Error(err)
	}
}

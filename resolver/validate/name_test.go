package validate

import "testing"

func TestNames(t *testing.T) {
	inside := []struct {
		name, zone string
		within     bool
	}{
		{".", ".", true}, {"a.", ".", true}, {".", "a.", false}, {"a.b.", "b.", true}, {"a.b.", "a.b.", true},
		{"ab.", "b.", false}, {"b.", "a.b.", false}, {`a\.b.`, "b.", false}, {`a\\.b.`, "b.", true},
		{`x\.a.b.`, "a.b.", false}, {`\046a.b.`, "b.", true},
	}
	for _, tt := range inside {
		if got := within(tt.name, tt.zone); got != tt.within {
			t.Errorf("within(%s, %s) = %v", tt.name, tt.zone, got)
		}
	}
	steps := []struct{ zone, name, child string }{
		{".", "a.b.c.", "c."}, {"c.", "a.b.c.", "b.c."}, {"b.c.", "a.b.c.", "a.b.c."}, {"c.", `a\.b.c.`, `a\.b.c.`},
	}
	for _, tt := range steps {
		if got := child(tt.zone, tt.name); got != tt.child {
			t.Errorf("child(%s, %s) = %s", tt.zone, tt.name, got)
		}
	}
	if parent("a.b.") != "b." || parent("b.") != "." || parent(".") != "." || parent(`a\.b.c.`) != "c." {
		t.Error("parent")
	}
	dnames := []struct {
		name, owner, target, result string
		follows                     bool
	}{
		{"a.b.c.", "c.", "d.", "a.b.d.", true}, {"a.b.c.", "b.c.", ".", "a.", true}, {"a.b.", ".", "x.", "a.b.x.", true},
		{"c.", "c.", "d.", "d.", false}, {"a.x.", "c.", "d.", "a.d.", false}, {"a.c.", "c.", "d.", "b.d.", false},
	}
	for _, tt := range dnames {
		if got := substitutes(tt.name, tt.owner, tt.target, tt.result); got != tt.follows {
			t.Errorf("%v: %v", tt, got)
		}
	}
}

package resolver_test

import (
	"errors"
	"strings"
	"testing"

	"dens/resolver"
)

func TestSafely(t *testing.T) {
	if n, err := resolver.Safely(func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Error(n, err)
	}
	_, err := resolver.Safely(func() (int, error) { panic("SECRET") })
	var e *resolver.Error
	if !errors.As(err, &e) || e.Text != "internal error" || !strings.Contains(err.Error(), "panic: SECRET") {
		t.Errorf("got %v", err)
	}
}

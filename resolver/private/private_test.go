package private_test

import (
	"context"
	"errors"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/private"
)

type fixed []string

func (f fixed) Resolve(context.Context, resolver.Query) (*resolver.Answer, error) {
	a := &resolver.Answer{}
	for _, line := range f {
		rr, err := dns.NewRR(line)
		if err != nil {
			return nil, err
		}
		a.Answer = append(a.Answer, rr)
	}
	return a, nil
}

func TestPrivateAddresses(t *testing.T) {
	tests := []struct {
		name    string
		answer  fixed
		refused bool
	}{
		{"public", fixed{"www.example. 60 IN A 203.0.113.9", "www.example. 60 IN AAAA 2001:db8::1"}, false},
		{"nothing", nil, false},
		{"RFC 1918", fixed{"www.example. 60 IN A 192.168.1.1"}, true},
		{"one of two", fixed{"www.example. 60 IN A 203.0.113.9", "www.example. 60 IN A 10.0.0.1"}, true},
		{"behind an alias", fixed{"www.example. 60 IN CNAME b.example.", "b.example. 60 IN A 127.0.0.1"}, true},
		{"this machine", fixed{"www.example. 60 IN A 0.0.0.0"}, true},
		{"link", fixed{"www.example. 60 IN A 169.254.169.254"}, true},
		{"carrier", fixed{"www.example. 60 IN A 100.64.0.1"}, true},
		{"unique local", fixed{"www.example. 60 IN AAAA fd00::1"}, true},
		{"mapped", fixed{"www.example. 60 IN AAAA ::ffff:10.0.0.1"}, true},
		{"hint", fixed{"www.example. 60 IN HTTPS 1 . ipv4hint=10.0.0.1"}, true},
		{"hint 6", fixed{"www.example. 60 IN SVCB 1 . ipv6hint=fe80::1"}, true},
		{"public hint", fixed{"www.example. 60 IN HTTPS 1 . ipv4hint=203.0.113.1"}, false},
		{"alias into an exempt zone", fixed{"www.example. 60 IN CNAME b.corp.example.", "b.corp.example. 60 IN A 10.0.0.1"}, false},
	}
	for _, tt := range tests {
		r := private.New(tt.answer, []string{"Corp.Example"})
		a, err := r.Resolve(t.Context(), resolver.Query{Name: "www.example.", Type: dns.TypeA})
		var e *resolver.Error
		switch {
		case !tt.refused && (err != nil || len(a.Answer) != len(tt.answer)):
			t.Errorf("%s: %v, %v", tt.name, a, err)
		case tt.refused && (!errors.As(err, &e) || e.Rcode != dns.RcodeRefused || e.Code != 15):
			t.Errorf("%s: %v, want REFUSED", tt.name, err)
		}
		if _, err := r.Resolve(t.Context(), resolver.Query{Name: "www.corp.example.", Type: dns.TypeA}); err != nil {
			t.Errorf("%s, exempt: %v", tt.name, err)
		}
	}
}

type failing struct{}

func (failing) Resolve(context.Context, resolver.Query) (*resolver.Answer, error) {
	return nil, context.Canceled
}

func TestErrorsPass(t *testing.T) {
	if _, err := private.New(failing{}, nil).Resolve(t.Context(), resolver.Query{Name: "a."}); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

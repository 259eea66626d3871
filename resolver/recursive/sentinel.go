package recursive

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// rootTags returns the tags of the keys that are trusted for the root, in order.
func rootTags(anchors *dnssec.Anchors) []uint16 {
	zone, trust, ok := anchors.For(".")
	if !ok || zone != "." {
		return nil
	}
	var tags []uint16
	for _, ds := range trust.DS {
		tags = append(tags, ds.KeyTag)
	}
	for _, key := range trust.Keys {
		tags = append(tags, key.KeyTag())
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// signalName is the name by whose query a resolver tells the root servers which keys it trusts (RFC 8145
// section 5.1); "" when there are none.
func signalName(tags []uint16) string {
	if len(tags) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("_ta")
	for _, tag := range tags[:min(len(tags), 12)] { // what a label has room for
		fmt.Fprintf(&b, "-%04x", tag)
	}
	return b.String() + "."
}

// signal tells the root servers which keys are trusted. What they answer does not matter.
func (r *Resolver) signal(ctx context.Context) {
	if r.root.anchors == nil {
		return
	}
	if name := signalName(rootTags(r.root.anchors())); name != "" {
		r.fetch(ctx, name, dns.TypeNULL, nil, true)
	}
}

// The labels by which a client finds out which root keys a resolver trusts (RFC 8509 section 2).
const (
	sentinelIs  = "root-key-sentinel-is-ta-"
	sentinelNot = "root-key-sentinel-not-ta-"
)

// sentinel refuses the answer to a question that is a test for a root key which comes out negative (RFC
// 8509 section 3.1). It is for secure answers only.
func (r *Resolver) sentinel(q resolver.Query) error {
	if q.Type != dns.TypeA && q.Type != dns.TypeAAAA || !strings.HasPrefix(q.Name, "root-key-sentinel-") {
		return nil
	}
	label, _, _ := strings.Cut(q.Name, ".")
	digits, is := strings.CutPrefix(label, sentinelIs)
	if !is {
		var not bool
		if digits, not = strings.CutPrefix(label, sentinelNot); !not {
			return nil
		}
	}
	tag, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) != 5 {
		return nil
	}
	trusted := slices.Contains(rootTags(r.root.anchors()), uint16(tag))
	switch {
	case is && !trusted:
		return resolver.Errorf(dns.ExtendedErrorCodeOther, nil, "root key %d is not trusted", tag)
	case !is && trusted:
		return resolver.Errorf(dns.ExtendedErrorCodeOther, nil, "root key %d is trusted", tag)
	}
	return nil
}

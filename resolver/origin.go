package resolver

// weaker says whether less is to be had from an answer of this origin than from one of another: of an alias
// chain, the weakest link is the one to know about.
func (o *Origin) weaker(than *Origin) bool {
	if a, b := rank(o.Trust), rank(than.Trust); a != b {
		return a < b
	}
	if a, b := len(o.Gateways) > 0, len(than.Gateways) > 0; a != b {
		return a
	}
	return o.Signature && !than.Signature
}

// rank orders the words of Origin.Trust.
func rank(trust string) int {
	switch trust {
	case "single":
		return 1
	case "quorum":
		return 2
	case "proven":
		return 3
	}
	return 0
}

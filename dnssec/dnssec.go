// Package dnssec decides about DNSSEC and nothing else: it signs, validates signatures and chains of
// keys, and proves that names or types do not exist. Its functions are pure: no I/O, no clock, no
// chance; time and the budget of work are passed in. Iteration calls it with what servers said.
//
// The steps of a validation, each a function that can be read beside its section:
//
//	Delegation      DS or its proven absence, from the parent's side      RFC 4035 5.2
//	ValidateKeys    a zone's DNSKEY RRset, from DS or trust anchors       RFC 4035 5.2, RFC 5011 2.1
//	ValidateRRset   one RRset, from the zone's keys                       RFC 4035 5.3
//	Evidence        the NSEC and NSEC3 records of a response, validated
//	  .NameError    a name does not exist                                 RFC 4035 5.4, RFC 5155 8.4
//	  .NoData       a type does not exist (also DS at a zone cut)         RFC 4035 5.4, RFC 5155 8.5 to 8.7
//	  .Expansion    a wildcard was the right source of an answer          RFC 4035 5.3.4, RFC 5155 8.8
package dnssec

// Config is the policy of a Validator.
type Config struct {
	RefuseSHA1Signatures bool   // false: algorithms 5 and 7 validate; true: zones signed only by them are insecure (RFC 9905)
	RefuseSHA1Digests    bool   // false: a DS with SHA-1 counts where no stronger one is; true: it is an unknown digest
	MaxIterations        uint16 // 150; NSEC3 with more additional iterations prove nothing: insecure (RFC 9276 section 3.2)
}

func (c Config) withDefaults() Config {
	if c.MaxIterations == 0 {
		c.MaxIterations = 150
	}
	return c
}

// Validator applies one policy. It is immutable and safe for concurrent use.
type Validator struct {
	cfg Config
}

// New returns a Validator with the policy of cfg.
func New(cfg Config) *Validator {
	return &Validator{cfg: cfg.withDefaults()}
}

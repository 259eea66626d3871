package localroot

import "time"

// Status is what is known of the copy. Its JSON form is part of dens's interface.
type Status struct {
	Ready   bool      `json:"ready"`
	Serial  uint32    `json:"serial,omitempty"`
	Records int       `json:"records,omitempty"`
	Digest  string    `json:"digest,omitempty"` // the ZONEMD hash that verified: SHA-384 or SHA-512
	Checked time.Time `json:"checked,omitzero"` // when it was known to be the newest
	Expires time.Time `json:"expires,omitzero"` // until when it may be used
	Next    time.Time `json:"next,omitzero"`    // the next refresh
	Error   string    `json:"error,omitempty"`  // why the newest refresh failed
}

// Status returns a snapshot.
func (z *Zone) Status() Status {
	s := Status{Ready: z.Ready()}
	if c := z.current.Load(); c != nil {
		s.Serial, s.Records, s.Digest, s.Checked, s.Expires = c.soa.Serial, c.count, c.digest, c.checked, c.expires
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	s.Next = z.next
	if z.err != nil {
		s.Error = z.err.Error()
	}
	return s
}

package doh

import "errors"

// Why a header block does not decode (RFC 7541). The connection ends with COMPRESSION_ERROR.
var (
	errHPACK   = errors.New("bad header block")
	errInteger = errors.New("a number in a header block is too large")
	errUpdate  = errors.New("the table's size changes within a header block, or beyond the limit")
)

const (
	tableSize    = 4096 // octets of the dynamic table, as without any SETTINGS (RFC 9113 section 6.5.2)
	entryExtra   = 32   // what an entry costs besides its octets (RFC 7541 section 4.1)
	maxInteger   = 1 << 20
	staticFields = len(static) // the dynamic table comes after them
)

// entry is a field of the dynamic table. Only values that mean something here are kept.
type entry struct {
	name     kind
	bad      bool // the value makes the request malformed
	nameLen  uint16
	valueLen uint16
	off      int // of the value, in decoder.values
}

func (e *entry) size() int { return int(e.nameLen) + int(e.valueLen) + entryExtra }

// decoder decodes the header blocks of one connection. It takes no memory until the client uses the dynamic
// table.
type decoder struct {
	entries []entry // the newest comes last
	values  []byte
	size    int
	limit   int  // of size, below tableSize
	limited bool // limit is set
}

// decode hands the fields of a block to h. Its memory stays below what the block and one table hold.
func (d *decoder) decode(block []byte, h *head) error {
	fields := false
	for len(block) > 0 {
		var err error
		b := block[0]
		switch {
		case b >= 0x80: // indexed (RFC 7541 section 6.1)
			var i int
			if i, block, err = integer(block, 7); err == nil {
				err = d.indexed(i, h)
			}
			fields = true
		case b >= 0x40: // literal, to be added to the table (section 6.2.1)
			block, err = d.literal(block, 6, h)
			fields = true
		case b >= 0x20: // the size of the table (section 6.3)
			var n int
			if n, block, err = integer(block, 5); err == nil && (fields || n > tableSize) {
				err = errUpdate
			}
			if err == nil {
				d.limit, d.limited = n, true
				d.evict(n)
			}
		default: // literal (sections 6.2.2 and 6.2.3)
			block, err = d.literal(block, 4, h)
			fields = true
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// integer reads a number with the given bits of the first octet (RFC 7541 section 5.1).
func integer(in []byte, bits uint) (n int, rest []byte, err error) {
	if len(in) == 0 {
		return 0, nil, errHPACK
	}
	n = int(in[0] & (1<<bits - 1))
	if n < 1<<bits-1 {
		return n, in[1:], nil
	}
	for i, shift := 1, 0; i < len(in) && shift < 28; i, shift = i+1, shift+7 {
		n += int(in[i]&0x7f) << shift
		if in[i] < 0x80 {
			if n > maxInteger {
				break
			}
			return n, in[i+1:], nil
		}
	}
	return 0, nil, errInteger
}

// text reads a string (RFC 7541 section 5.2). It stays valid as long as in and h.
func text(in []byte, h *head) (s, rest []byte, err error) {
	if len(in) == 0 {
		return nil, nil, errHPACK
	}
	coded := in[0] >= 0x80
	n, in, err := integer(in, 7)
	if err != nil {
		return nil, nil, err
	}
	if n > len(in) {
		return nil, nil, errHPACK
	}
	s, in = in[:n], in[n:]
	if coded {
		from := len(h.scratch)
		if h.scratch, err = huffman.decode(h.scratch, s); err != nil {
			return nil, nil, err
		}
		s = h.scratch[from:]
	}
	return s, in, nil
}

func (d *decoder) indexed(i int, h *head) error {
	switch {
	case i == 0 || i > staticFields+len(d.entries):
		return errHPACK
	case i <= staticFields:
		f := &static[i-1]
		h.add(f.kind, len(f.name), f.value, false)
		return nil
	}
	e := &d.entries[len(d.entries)-(i-staticFields)]
	if !e.name.kept() || h.size+e.size() > maxHeader { // many octets may be asked for by a single one
		h.skip(e.name, e.size(), e.bad)
		return nil
	}
	// The table may move while this block is decoded.
	from := len(h.scratch)
	h.scratch = append(h.scratch, d.values[e.off:e.off+int(e.valueLen)]...)
	h.add(e.name, int(e.nameLen), h.scratch[from:], e.bad)
	return nil
}

// literal reads a field that is spelled out; with 6 bits of index it goes into the table.
func (d *decoder) literal(in []byte, bits uint, h *head) ([]byte, error) {
	i, in, err := integer(in, bits)
	if err != nil {
		return nil, err
	}
	var name kind
	var nameLen int
	switch {
	case i == 0:
		var s []byte
		if s, in, err = text(in, h); err != nil {
			return nil, err
		}
		name, nameLen = kindOf(s), len(s)
	case i <= staticFields:
		name, nameLen = static[i-1].kind, len(static[i-1].name)
	case i <= staticFields+len(d.entries):
		e := &d.entries[len(d.entries)-(i-staticFields)]
		name, nameLen = e.name, int(e.nameLen)
	default:
		return nil, errHPACK
	}
	value, in, err := text(in, h)
	if err != nil {
		return nil, err
	}
	bad := !name.allows(value)
	if bits == 6 {
		d.insert(name, nameLen, value, bad)
	}
	h.add(name, nameLen, value, bad)
	return in, nil
}

// insert adds a field to the table (RFC 7541 section 4.4).
func (d *decoder) insert(name kind, nameLen int, value []byte, bad bool) {
	limit := tableSize
	if d.limited {
		limit = d.limit
	}
	size := nameLen + len(value) + entryExtra
	if size > limit {
		d.evict(0)
		return
	}
	d.evict(limit - size)
	e := entry{name: name, bad: bad, nameLen: uint16(nameLen), valueLen: uint16(len(value)), off: len(d.values)}
	if name.kept() {
		d.values = append(d.values, value...)
	}
	d.entries = append(d.entries, e)
	d.size += size
}

// evict drops the oldest fields until the table is no larger than limit.
func (d *decoder) evict(limit int) {
	n := 0
	for ; d.size > limit; n++ {
		d.size -= d.entries[n].size()
	}
	if n == 0 {
		return
	}
	d.entries = d.entries[:copy(d.entries, d.entries[n:])]
	// Values are moved once those that nobody needs any more have come to a whole table.
	from := len(d.values)
	if len(d.entries) > 0 {
		from = d.entries[0].off
	}
	if from < tableSize && len(d.entries) > 0 {
		return
	}
	d.values = d.values[:copy(d.values, d.values[from:])]
	for i := range d.entries {
		d.entries[i].off -= from
	}
}

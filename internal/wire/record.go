package wire

import "encoding/binary"

// record is where a resource record stands (RFC 1035 section 3.2.1).
type record struct {
	off     int // of the owner's name
	typeOff int
	typ     uint16
	end     int
}

func (r record) ttlOff() int  { return r.typeOff + 4 }
func (r record) dataOff() int { return r.typeOff + 10 }

// readRR reads the frame of the record at off. Its data is not looked into.
func readRR(msg []byte, off int) (record, bool) {
	typeOff, ok := skipName(msg, off)
	if !ok || typeOff+10 > len(msg) {
		return record{}, false
	}
	end := typeOff + 10 + int(binary.BigEndian.Uint16(msg[typeOff+8:]))
	if end > len(msg) {
		return record{}, false
	}
	return record{off: off, typeOff: typeOff, typ: binary.BigEndian.Uint16(msg[typeOff:]), end: end}, true
}

package wire

import (
	"encoding/binary"
	"slices"
)

// The last octet of a key.
const (
	keyDO = 1 << iota
	keyCD
)

// AppendKey appends what tells one reply from another: the question with its name in lower case, and an
// octet for DO and CD, since replies with and without signatures, and with and without validation, are
// kept apart. r needs a question.
func (r *Request) AppendKey(dst, req []byte) []byte {
	question, name := req[headerLen:r.QuestionEnd], r.NameEnd-headerLen
	start := len(dst)
	dst = slices.Grow(dst, len(question)+1)[:start+len(question)]
	key := dst[start:]
	lowerInto(key[:name], question[:name])
	copy(key[name:], question[name:])
	var variant byte
	if r.DO {
		variant |= keyDO
	}
	if r.CD() {
		variant |= keyCD
	}
	return append(dst, variant)
}

// KeyQuestion returns the question in a key from AppendKey.
func KeyQuestion(key []byte) []byte { return key[:len(key)-1] }

// AppendRequest appends the request that a key from AppendKey stands for. It is the same for all
// clients with that key, so that nothing which only one of them sent can reach the others' reply.
func AppendRequest(dst, key []byte) []byte {
	flags := uint16(flagRD)
	variant := key[len(key)-1]
	if variant&keyCD != 0 {
		flags |= flagCD
	}
	dst = appendHeader(dst, 0, flags, 1, 1)
	dst = append(dst, KeyQuestion(key)...)
	return AppendOPT(dst, &OPT{DO: variant&keyDO != 0})
}

// AppendFailure appends a reply without records to the question of a key from AppendKey.
func AppendFailure(dst, key []byte, rcode uint16) []byte {
	dst = appendHeader(dst, 0, flagQR|flagRA|rcode&rcodeMask, 1, 0)
	return append(dst, KeyQuestion(key)...)
}

// appendHeader appends a header without answers and authorities.
func appendHeader(dst []byte, id, flags, questions, additional uint16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = binary.BigEndian.AppendUint16(dst, questions)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	return binary.BigEndian.AppendUint16(dst, additional)
}

package stream

import "sync"

// slabSize is the room for what one read brings: a record of TLS, a frame of HTTP/2, a few hundred questions.
// It is a size that the allocator has.
const slabSize = 18 << 10

// fullSlab is where replies have become so long that they are to be written: the next one still fits
// mostly, and one record of TLS takes them all.
const fullSlab = 12 << 10

// slab has the buffers that a connection needs while it is awake.
type slab struct {
	in  [slabSize]byte // what the session is given
	out [slabSize]byte // what it replies
}

// slabs lend buffers. What is lent for TLS has one more, for what is to be decrypted.
type slabs struct{ plain, sealed sync.Pool }

func (p *slabs) get() *slab {
	if s, ok := p.plain.Get().(*slab); ok {
		return s
	}
	return new(slab)
}

func (p *slabs) put(s *slab) { p.plain.Put(s) }

func (p *slabs) getSealed() *[slabSize]byte {
	if s, ok := p.sealed.Get().(*[slabSize]byte); ok {
		return s
	}
	return new([slabSize]byte)
}

func (p *slabs) putSealed(s *[slabSize]byte) { p.sealed.Put(s) }

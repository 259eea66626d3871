package cache

// queueName says which queue of its shard an entry is in.
type queueName uint8

const (
	inNone  queueName = iota
	inSmall           // what came in lately
	inMain            // what was asked for again
)

// queue is a list in the order of arrival. Its shard's lock guards it.
type queue struct {
	oldest, newest *Packed
	n              int
	bytes          int64
}

func (q *queue) push(p *Packed) {
	p.older, p.newer = q.newest, nil
	if q.newest != nil {
		q.newest.newer = p
	} else {
		q.oldest = p
	}
	q.newest = p
	q.n++
	q.bytes += p.size()
}

func (q *queue) remove(p *Packed) {
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		q.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		q.newest = p.older
	}
	p.older, p.newer = nil, nil
	q.n--
	q.bytes -= p.size()
}

// replace puts p in the place of old.
func (q *queue) replace(old, p *Packed) {
	p.older, p.newer = old.older, old.newer
	if p.older != nil {
		p.older.newer = p
	} else {
		q.oldest = p
	}
	if p.newer != nil {
		p.newer.older = p
	} else {
		q.newest = p
	}
	old.older, old.newer = nil, nil
	q.bytes += p.size() - old.size()
}

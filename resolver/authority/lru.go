package authority

import "container/list"

// lru is a map of bounded size that forgets what was not used for longest.
type lru[K comparable, V any] struct {
	most  int
	items map[K]*list.Element
	order *list.List // of *item, the newest first
}

type item[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{most: most, items: make(map[K]*list.Element), order: list.New()}
}

// get returns what is stored under key, which counts as a use of it.
func (l *lru[K, V]) get(key K) (v V, ok bool) {
	e, ok := l.items[key]
	if !ok {
		return v, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*item[K, V]).value, true
}

// add stores what was not there.
func (l *lru[K, V]) add(key K, v V) {
	l.items[key] = l.order.PushFront(&item[K, V]{key, v})
	for len(l.items) > l.most {
		oldest := l.order.Back()
		delete(l.items, l.order.Remove(oldest).(*item[K, V]).key)
	}
}

func (l *lru[K, V]) drop(key K) {
	if e, ok := l.items[key]; ok {
		l.order.Remove(e)
		delete(l.items, key)
	}
}

func (l *lru[K, V]) len() int { return len(l.items) }

package cache

import (
	"hash/maphash"
	"slices"
)

// tagSeed keys the hashes of tags: two that collide are dropped together, and nobody shall look for them.
var tagSeed = maphash.MakeSeed()

func tagHash(tag string) uint64 { return maphash.String(tagSeed, tag) }

// tagSet is the hashes of the tags to drop. Few are compared one by one, which is faster.
type tagSet struct {
	few  []uint64
	many map[uint64]struct{}
}

const fewTags = 8

func newTagSet(tags []string) tagSet {
	var set tagSet
	if len(tags) > fewTags {
		set.many = make(map[uint64]struct{}, len(tags))
	}
	for _, tag := range tags {
		if set.many != nil {
			set.many[tagHash(tag)] = struct{}{}
		} else {
			set.few = append(set.few, tagHash(tag))
		}
	}
	return set
}

// meets reports whether one of the tags is in the set.
func (s *tagSet) meets(tags []uint64) bool {
	for _, tag := range tags {
		if _, ok := s.many[tag]; ok || slices.Contains(s.few, tag) {
			return true
		}
	}
	return false
}

package configs

import "strings"

// suggest says what was expected in the place of an unknown key: the nearest one that exists, or all.
func suggest(key string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(key, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best != "" {
		return quote(best) + " (did you mean that?)"
	}
	return "one of " + strings.Join(known, ", ")
}

// distance is the least number of letters to put in, take out or change (Levenshtein) that turns a into b.
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

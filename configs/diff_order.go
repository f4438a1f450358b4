package configs

import "slices"

// inOrder returns the words of a longest subsequence that two lists without
// duplicates have in common: what else they have in common has moved.
func inOrder(old, now []string) map[string]bool {
	place := make(map[string]int, len(old))
	for i, word := range old {
		place[word] = i
	}
	var ends []int // of the best sequence of each length, where in now it ends
	before := make([]int, len(now))
	for j, word := range now {
		i, ok := place[word]
		if !ok {
			continue
		}
		n, _ := slices.BinarySearchFunc(ends, i, func(end, i int) int { return place[now[end]] - i })
		before[j] = -1
		if n > 0 {
			before[j] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, j)
		}
		ends[n] = j
	}
	set := map[string]bool{}
	if len(ends) > 0 {
		for j := ends[len(ends)-1]; j >= 0; j = before[j] {
			set[now[j]] = true
		}
	}
	return set
}

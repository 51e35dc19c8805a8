package config

import "slices"

// maxSuggestionDistance is how many typing errors a suggestion corrects.
const maxSuggestionDistance = 2

// suggestion returns `, did you mean "x"?` for the known name nearest to name,
// or nothing when none is near.
func suggestion(name string, known []string) string {
	best := nearest(name, known)
	if best == "" {
		return ""
	}
	return `, did you mean "` + best + `"?`
}

// nearest returns the known name that is within maxSuggestionDistance typing
// errors of name, and fewest; of several the first in alphabetical order.
func nearest(name string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	best, fewest := "", maxSuggestionDistance+1
	for _, candidate := range known {
		// A short name is near to everything.
		if d := editDistance(name, candidate); d < fewest && d < len(candidate)/2 {
			best, fewest = candidate, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that make a into b. Lengths that differ by more than
// maxSuggestionDistance are not compared. O(len(a) * len(b)).
func editDistance(a, b string) int {
	if len(a)-len(b) > maxSuggestionDistance || len(b)-len(a) > maxSuggestionDistance {
		return maxSuggestionDistance + 1
	}
	// Rows of the table for the first i-2, i-1 and i bytes of a.
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		older, old, row = old, row, older
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := old[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, old[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

package ordeal

import (
	"fmt"
	"slices"
	"strings"
)

// Head is that of a table of judgements, in Markdown.
const Head = `| way | messages | kills | attempts | bounced by the upstream | not known to the client | of these for a kill | copies too many | lost |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`

// Row is the judgement as a row of that table.
func (j *Judgement) Row(way string) string {
	attempts, windows := 0, 0
	for _, n := range j.Outcomes {
		attempts += n
	}
	for _, n := range j.Windows {
		windows += n
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n", way, j.Messages, j.Kills, attempts,
		j.Bounced, windows, j.Windows[RelayKilled], j.Duplicates, j.Lost)
}

// String is the judgement in a few lines.
func (j *Judgement) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d messages for %d recipients: %d delivered, %d bounced by the upstream, %d copies too many; %d kills",
		j.Messages, j.Recipients, j.Delivered, j.Bounced, j.Duplicates, j.Kills)
	fmt.Fprintf(&s, "\n  attempts: %s", counts(j.Outcomes))
	fmt.Fprintf(&s, "\n  taken, and the client could not know: %s", counts(j.Windows))
	fmt.Fprintf(&s, "\n  faults: %s", counts(j.Seen))
	return s.String()
}

func counts[K ~string](m map[K]int) string {
	var list []string
	for name, n := range m {
		list = append(list, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

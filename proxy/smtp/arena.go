package smtp

import "strings"

// Arena makes strings out of octets without an allocation each: it cuts them
// from blocks that it never writes over, so that they may be kept. A string
// that is kept keeps its block. An Arena must not be copied.
type Arena struct{ block strings.Builder }

// arenaBlock is the size of a block in octets: some ten addresses.
const arenaBlock = 512

// String returns b as a string.
func (a *Arena) String(b []byte) string { return a.join("", b, "") }

// join returns the three parts as one string.
func (a *Arena) join(before string, b []byte, after string) string {
	need := len(before) + len(b) + len(after)
	if a.block.Cap()-a.block.Len() < need {
		a.block = strings.Builder{}
		a.block.Grow(max(need, arenaBlock))
	}
	start := a.block.Len()
	a.block.WriteString(before)
	a.block.Write(b)
	a.block.WriteString(after)
	return a.block.String()[start:]
}

package smtp_test

import (
	"io"
	"iter"
)

// parts is a source that yields one part for each read, as a network does.
type parts [][]byte

func (p *parts) Read(b []byte) (int, error) {
	for len(*p) > 0 && len((*p)[0]) == 0 {
		*p = (*p)[1:]
	}
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	(*p)[0] = (*p)[0][n:]
	return n, nil
}

// segmentations yields the ways in which s can arrive: all of them when s is
// short, else whole, in steps of a few sizes, and with each single cut.
func segmentations(s string) iter.Seq[parts] {
	if len(s) > 0 && len(s) <= 11 {
		return allCuts(s)
	}
	return func(yield func(parts) bool) {
		for _, step := range []int{len(s) + 1, 1, 2, 3, 7, 512} {
			if !yield(steps([]byte(s), step)) {
				return
			}
		}
		for i := 1; i < min(len(s), 200); i++ {
			if !yield(parts{[]byte(s[:i]), []byte(s[i:])}) {
				return
			}
		}
	}
}

func allCuts(s string) iter.Seq[parts] {
	return func(yield func(parts) bool) {
		for mask := range 1 << (len(s) - 1) {
			var p parts
			start := 0
			for i := 1; i <= len(s); i++ {
				if i == len(s) || mask>>(i-1)&1 == 1 {
					p = append(p, []byte(s[start:i]))
					start = i
				}
			}
			if !yield(p) {
				return
			}
		}
	}
}

func steps(b []byte, step int) (p parts) {
	for len(b) > 0 {
		n := min(step, len(b))
		p = append(p, append([]byte(nil), b[:n]...))
		b = b[n:]
	}
	return p
}

// cutBy cuts data into parts of the sizes given, over and over.
func cutBy(data, sizes []byte) (p parts) {
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])+1)
		}
		p = append(p, append([]byte(nil), data[:n]...))
		data = data[n:]
	}
	return p
}

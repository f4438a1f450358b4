package dnsbl

// How many distinct clients a list's share is taken of, at most and at least.
const (
	windowSize  = 256
	windowLeast = 100
)

// window remembers of the last distinct subjects which were listed.
type window struct {
	at     map[uint64]int // place in the ring by subject
	ring   []subjectSeen
	next   int
	listed int
}

type subjectSeen struct {
	subject uint64
	listed  bool
}

// note notes what was said of a subject, in place of what was said before.
func (w *window) note(subject uint64, listed bool) {
	if w.at == nil {
		w.at = make(map[uint64]int, windowSize)
	}
	i, known := w.at[subject]
	switch {
	case known:
	case len(w.ring) < windowSize:
		i = len(w.ring)
		w.ring = append(w.ring, subjectSeen{})
	default:
		i = w.next
		w.next = (w.next + 1) % windowSize
		delete(w.at, w.ring[i].subject)
	}
	if w.ring[i].listed {
		w.listed--
	}
	if listed {
		w.listed++
	}
	w.ring[i] = subjectSeen{subject, listed}
	w.at[subject] = i
}

// share returns which share was listed, and whether that is of enough.
func (w *window) share() (share float64, enough bool) {
	if len(w.ring) < windowLeast {
		return 0, false
	}
	return float64(w.listed) / float64(len(w.ring)), true
}

func (w *window) clear() { *w = window{} }

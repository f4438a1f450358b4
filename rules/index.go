package rules

import (
	"math/bits"
	"net/netip"
)

// index finds, among the rules of a stage, those that can match: all of them
// hold the values that one of their matchers wants, filed by value.
type index struct {
	words  int      // of a bit set of all rules
	always []uint64 // rules that are not filed
	fields []filed
}

// filed is the part of an index for one field.
type filed struct {
	slot    int
	texts   map[string][]uint32
	domains map[string][]uint32
	below   map[string][]uint32
	nets    map[netip.Prefix][]uint32
	four    []int // prefix lengths that occur, of IPv4
	six     []int // and of IPv6
}

// maxKeys is up to how many values a matcher is filed under; beyond that it is
// tested instead.
const maxKeys = 1000

// newIndex files each rule under the rarest of its matchers.
func newIndex(all [][]*matcher) *index {
	used := map[int]int{}
	for _, ms := range all {
		for _, m := range ms {
			used[m.id]++
		}
	}
	ix := &index{words: (len(all) + 63) / 64}
	ix.always = make([]uint64, ix.words)
	bySlot := map[int]int{}
	for i, ms := range all {
		best := rarest(ms, used)
		if best == nil {
			ix.always[i/64] |= 1 << (i % 64)
			continue
		}
		at, ok := bySlot[best.slot]
		if !ok {
			at = len(ix.fields)
			bySlot[best.slot] = at
			ix.fields = append(ix.fields, newFiled(best.slot))
		}
		ix.fields[at].file(best, uint32(i))
	}
	return ix
}

// rarest returns the matcher that fewest rules share, of those with keys.
func rarest(ms []*matcher, used map[int]int) *matcher {
	var best *matcher
	for _, m := range ms {
		if len(m.keys) == 0 || len(m.keys) > maxKeys {
			continue
		}
		if best == nil || used[m.id] < used[best.id] {
			best = m
		}
	}
	return best
}

func newFiled(slot int) filed {
	return filed{
		slot:    slot,
		texts:   map[string][]uint32{},
		domains: map[string][]uint32{},
		below:   map[string][]uint32{},
		nets:    map[netip.Prefix][]uint32{},
	}
}

func (f *filed) file(m *matcher, rule uint32) {
	for _, k := range m.keys {
		switch k.sort {
		case keyText:
			f.texts[k.text] = append(f.texts[k.text], rule)
		case keyDomain:
			f.domains[k.text] = append(f.domains[k.text], rule)
		case keyBelow:
			f.below[k.text] = append(f.below[k.text], rule)
		case keyNet:
			f.nets[k.prefix] = append(f.nets[k.prefix], rule)
			f.addLength(k.prefix)
		}
	}
}

func (f *filed) addLength(p netip.Prefix) {
	lengths := &f.six
	if p.Addr().Is4() {
		lengths = &f.four
	}
	for _, n := range *lengths {
		if n == p.Bits() {
			return
		}
	}
	*lengths = append(*lengths, p.Bits())
}

// candidates leaves in e.bits the rules that can match.
func (ix *index) candidates(e *evaluation) {
	e.bits = append(e.bits[:0], ix.always...)
	for i := range ix.fields {
		f := &ix.fields[i]
		r := e.read(f.slot)
		if r.err != nil { // each rule that needs it has to say so
			f.mark(e)
			continue
		}
		for j := range r.values {
			f.lookUp(e, &r.values[j])
		}
	}
}

func (f *filed) lookUp(e *evaluation, v *value) {
	if v.kind == Address {
		f.lookUpNet(e, v.addr)
		return
	}
	if v.kind == Bool || isNumber(v) {
		return
	}
	e.fold(v)
	if len(f.texts) > 0 {
		e.mark(f.texts[string(v.low)])
	}
	if len(v.domain) == 0 {
		return
	}
	if len(f.domains) > 0 {
		e.mark(f.domains[string(v.domain)])
	}
	if len(f.below) == 0 {
		return
	}
	e.mark(f.below[string(v.domain)])
	for i, c := range v.domain {
		if c == '.' {
			e.mark(f.below[string(v.domain[i+1:])])
		}
	}
}

func (f *filed) lookUpNet(e *evaluation, a netip.Addr) {
	lengths := f.six
	if a.Is4() {
		lengths = f.four
	}
	for _, n := range lengths {
		if p, err := a.Prefix(n); err == nil {
			e.mark(f.nets[p])
		}
	}
}

// mark marks every rule that is filed.
func (f *filed) mark(e *evaluation) {
	for _, m := range []map[string][]uint32{f.texts, f.domains, f.below} {
		for _, rules := range m {
			e.mark(rules)
		}
	}
	for _, rules := range f.nets {
		e.mark(rules)
	}
}

func (e *evaluation) mark(rules []uint32) {
	for _, i := range rules {
		e.bits[i/64] |= 1 << (i % 64)
	}
}

// next returns the first candidate from i on, below end; end if there is none.
func (e *evaluation) next(i, end int) int {
	for i < end {
		word := e.bits[i/64] >> (i % 64)
		if word != 0 {
			return min(i+bits.TrailingZeros64(word), end)
		}
		i += 64 - i%64
	}
	return end
}

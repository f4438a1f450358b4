package rdns

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// spells reports whether the whole address stands in a name of lower case, in
// order or reversed: in decimal (192-0-2-1, 192.0.2.1, 192000002001) or in
// hexadecimal (c0000201, c0-00-02-01).
func spells(name string, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	switch {
	case a.Is4():
		return spells4(name, a.As4())
	case a.Is6():
		return spells6(name, a)
	}
	return false
}

func spells4(name string, b [4]byte) bool {
	for range 2 {
		if strings.Contains(name, hex.EncodeToString(b[:])) ||
			strings.Contains(name, fmt.Sprintf("%03d%03d%03d%03d", b[0], b[1], b[2], b[3])) {
			return true
		}
		slices.Reverse(b[:])
	}
	row := []int{int(b[0]), int(b[1]), int(b[2]), int(b[3])}
	return inRow(numbers(name, 10), row) || inRow(numbers(name, 16), row)
}

func spells6(name string, a netip.Addr) bool {
	b := a.As16()
	backwards := strings.ReplaceAll(filters.ReverseLabels(a), ".", "")
	short := strings.ReplaceAll(a.String(), ":", "-")
	if strings.Contains(name, hex.EncodeToString(b[:])) || strings.Contains(name, backwards) || strings.Contains(name, short) {
		return true
	}
	var groups, nibbles []int
	for i, octet := range b {
		nibbles = append(nibbles, int(octet>>4), int(octet&15))
		if i%2 == 1 {
			groups = append(groups, int(b[i-1])<<8|int(octet))
		}
	}
	found := numbers(name, 16)
	return inRow(found, groups) || inRow(found, nibbles)
}

// number is one that stands in a name, between what are no digits.
type number struct {
	value int  // no more than tooMuch
	next  bool // one octet stands between it and the number before
}

// tooMuch is more than a part of an address can be.
const tooMuch = 1 << 16

func numbers(name string, base int) []number {
	var list []number
	last := -1 // where the number before ends
	for i := 0; i < len(name); i++ {
		if digit(name[i]) >= base {
			continue
		}
		n := number{next: last >= 0 && i == last+1}
		for ; i < len(name) && digit(name[i]) < base; i++ {
			n.value = min(n.value*base+digit(name[i]), tooMuch)
		}
		list = append(list, n)
		last = i
	}
	return list
}

// digit returns what an octet is worth; more than any base for no digit.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 10
	}
	return tooMuch
}

// inRow reports whether the parts of an address follow one another, from the
// first to the last or the other way.
func inRow(list []number, parts []int) bool {
	for ; len(list) >= len(parts); list = list[1:] {
		forward, backward := true, true
		for i, n := range list[:len(parts)] {
			joined := i == 0 || n.next
			forward = forward && joined && n.value == parts[i]
			backward = backward && joined && n.value == parts[len(parts)-1-i]
		}
		if forward || backward {
			return true
		}
	}
	return false
}

package filters

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is an amount of octets in an option, such as 25MiB.
type Bytes int64

// units are those a configuration may use, each with its octets. The greatest
// binary ones come first: String takes the first that divides the amount.
var units = []struct {
	name   string
	octets int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3},
	{"B", 1}, {"", 1},
}

// String returns the amount in the greatest unit that divides it.
func (b Bytes) String() string {
	for _, u := range units {
		if n := int64(b); n != 0 && n%u.octets == 0 {
			return strconv.FormatInt(n/u.octets, 10) + u.name
		}
	}
	return "0B"
}

// MarshalText spells the amount.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a whole number with or without a unit, in any case.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := string(text)
	digits := strings.TrimRight(s, "BGIKMbgikm ")
	n, err := strconv.ParseInt(digits, 10, 64)
	octets := octetsOf(strings.TrimSpace(s[len(digits):]))
	if err != nil || octets == 0 || n < 0 || n > math.MaxInt64/octets {
		return fmt.Errorf("%q is no size: write octets such as 52428800, or a whole number of B, kB, MB, GB, KiB, MiB or GiB such as 50MiB", s)
	}
	*b = Bytes(n * octets)
	return nil
}

// octetsOf returns what the unit of that name stands for, 0 if there is none.
func octetsOf(unit string) int64 {
	for _, u := range units {
		if strings.EqualFold(unit, u.name) {
			return u.octets
		}
	}
	return 0
}

package dnsbl

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// Pattern is a set of answers: what each of the four octets of an address may
// be, or a network.
type Pattern struct {
	text   string
	octets [4]octets
}

// octets is a set of octets, a bit for each.
type octets [4]uint64

func (s *octets) add(from, to int) {
	for i := from; i <= to; i++ {
		s[i/64] |= 1 << (i % 64)
	}
}

func (s *octets) has(c byte) bool { return s[c/64]&(1<<(c%64)) != 0 }

func (s *octets) len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// ParsePattern reads a network such as 127.0.0.0/24, or four octets with dots
// between them, each of which is a number, a list such as [2;4;6..8], * for
// any, or &8 for all numbers that have the bits of 8.
func ParsePattern(text string) (Pattern, error) {
	p := Pattern{text: text}
	read := p.readOctets
	if strings.Contains(text, "/") {
		read = p.readNetwork
	}
	if err := read(text); err != nil {
		return Pattern{}, fmt.Errorf("%+.40q is no pattern of answers such as 127.0.0.[2..11]: %w", text, err)
	}
	switch {
	case !p.octets[0].has(127):
		return Pattern{}, fmt.Errorf("%+.40q: answers outside of 127.0.0.0/8 never count", text)
	case p.octets[1] == only(255) && p.octets[2] == only(255):
		return Pattern{}, fmt.Errorf("%+.40q: answers in 127.255.255.0/24 are errors, and never count", text)
	}
	return p, nil
}

func (p *Pattern) readNetwork(text string) error {
	net, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return fmt.Errorf("want a network such as 127.0.0.0/24")
	case !net.Addr().Is4():
		return fmt.Errorf("answers are IPv4 addresses")
	case net != net.Masked():
		return fmt.Errorf("the network is %v", net.Masked())
	}
	for i, c := range net.Addr().As4() {
		free := min(max(8*(i+1)-net.Bits(), 0), 8) // bits of this octet behind the prefix
		p.octets[i].add(int(c), int(c)|(1<<free-1))
	}
	return nil
}

func (p *Pattern) readOctets(text string) (err error) {
	rest := text
	for i := range p.octets {
		if i > 0 {
			if !strings.HasPrefix(rest, ".") {
				return fmt.Errorf("want four octets with dots between them")
			}
			rest = rest[1:]
		}
		if rest, err = p.octets[i].read(rest); err != nil {
			return err
		}
	}
	if rest != "" {
		return fmt.Errorf("want nothing behind the fourth octet")
	}
	return nil
}

// read takes one octet from the front of the text and returns what follows.
func (s *octets) read(text string) (string, error) {
	if list, ok := strings.CutPrefix(text, "["); ok {
		list, rest, ok := strings.Cut(list, "]")
		if !ok {
			return "", fmt.Errorf("a list ends in ]")
		}
		for item := range strings.SplitSeq(list, ";") {
			if err := s.readItem(item); err != nil {
				return "", err
			}
		}
		return rest, nil
	}
	end := strings.IndexByte(text, '.')
	if end < 0 {
		end = len(text)
	}
	word, rest := text[:end], text[end:]
	if word == "*" {
		s.add(0, 255)
		return rest, nil
	}
	if word, ok := strings.CutPrefix(word, "&"); ok {
		return rest, s.readMask(word)
	}
	n, err := octet(word)
	s.add(n, n)
	return rest, err
}

// readItem takes an item of a list: a number, or two with dots between them.
func (s *octets) readItem(item string) error {
	from, to, ok := strings.Cut(item, "..")
	if !ok {
		to = from
	}
	low, err := octet(from)
	if err != nil {
		return err
	}
	high, err := octet(to)
	if err != nil {
		return err
	}
	if low > high {
		return fmt.Errorf("%s stands before a lesser number", from)
	}
	s.add(low, high)
	return nil
}

func (s *octets) readMask(word string) error {
	mask, err := octet(word)
	if err != nil || mask == 0 {
		return fmt.Errorf("want a number from 1 to 255 behind &")
	}
	for i := range 256 {
		if i&mask == mask {
			s.add(i, i)
		}
	}
	return nil
}

// octet reads a number from 0 to 255 without leading zeros.
func octet(word string) (int, error) {
	n, err := strconv.ParseUint(word, 10, 8)
	if err != nil || strconv.FormatUint(n, 10) != word {
		return 0, fmt.Errorf("want a number from 0 to 255, got %+.20q", word)
	}
	return int(n), nil
}

func only(c byte) (s octets) {
	s.add(int(c), int(c))
	return s
}

// Matches reports whether the address is in the set.
func (p Pattern) Matches(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	for i, c := range a.As4() {
		if !p.octets[i].has(c) {
			return false
		}
	}
	return true
}

// spells reports whether the address is the only one in the set.
func (p Pattern) spells(a netip.Addr) bool {
	for i := range p.octets {
		if p.octets[i].len() != 1 {
			return false
		}
	}
	return p.Matches(a)
}

// IsZero reports whether there is no pattern.
func (p Pattern) IsZero() bool { return p.text == "" }

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// UnmarshalText reads a pattern.
func (p *Pattern) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePattern(string(text))
	return err
}

// MarshalText writes the pattern.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.text), nil }

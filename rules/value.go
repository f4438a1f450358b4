package rules

import (
	"bytes"
	"net/netip"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// value is one value of a field.
type value struct {
	text   string
	low    []byte // text to compare: lower case, domains folded; nil until it is needed
	domain []byte // the part of low behind the last @, of a mailbox
	octets uint64 // which octets are in low: see octetsOf
	num    float64
	addr   netip.Addr
	kind   Type
}

// reading is what a field was found to be in one evaluation.
type reading struct {
	values []value
	known  bool
	list   bool  // the value is a list, be it of one
	err    error // why it could not be learnt
}

// maxText bounds the octets of a value that are looked at.
const maxText = 64 << 10

func (r *reading) text(s string, kind Type) {
	if s == "" {
		return
	}
	r.put(value{text: cut(s, maxText), kind: kind})
}

func (r *reading) put(v value)      { r.values = append(r.values, v) }
func (r *reading) number(n float64) { r.put(value{num: n, kind: Number}) }
func (r *reading) flag(b bool) {
	v := value{kind: Bool}
	if b {
		v.num = 1
	}
	r.put(v)
}

func (r *reading) address(a netip.Addr) {
	if a.IsValid() {
		r.put(value{addr: a.Unmap().WithZone(""), kind: Address})
	}
}

// fold makes what the value is compared by. Its octets are in the evaluation's
// own buffer, so that it takes no allocation.
func (e *evaluation) fold(v *value) {
	if v.low != nil {
		return
	}
	start := len(e.buf)
	e.buf = appendLower(e.buf, v.text)
	v.low = e.buf[start:len(e.buf):len(e.buf)]
	switch v.kind {
	case Domain:
		v.low = foldDomain(v.low)
		v.domain = v.low
	case Mailbox:
		at := bytes.LastIndexByte(v.low, '@')
		if at >= 0 {
			v.domain = foldDomain(v.low[at+1:])
		}
	default:
		v.domain = v.low
	}
	v.octets = octetsOf(v.low)
}

// octetsOf returns which octets are in s, some of them taken for one: a cheap
// way to tell that s does not contain a text.
func octetsOf(s []byte) (set uint64) {
	for _, c := range s {
		set |= 1 << (c & 63)
	}
	return set
}

// appendLower appends s in lower case.
func appendLower(buf []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return append(buf, bytes.ToLower([]byte(s[i:]))...)
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf = append(buf, c)
	}
	return buf
}

// foldDomain returns a domain in lower case as the DNS has it: without a final
// dot, with A-labels for what is not ASCII (RFC 5890). What is no domain, such
// as an address literal, stays as it is.
func foldDomain(low []byte) []byte {
	if n := len(low); n > 1 && low[n-1] == '.' {
		low = low[:n-1]
	}
	foreign := false
	for _, c := range low {
		if c <= ' ' || c == 0x7f {
			return low
		}
		foreign = foreign || c >= utf8.RuneSelf
	}
	if foreign {
		return encodeDomain(low)
	}
	return low
}

// maxDomain is the longest domain in octets (RFC 5321 section 4.5.3.1.2).
const maxDomain = 255

func encodeDomain(low []byte) []byte {
	if len(low) > 4*maxDomain || !utf8.Valid(low) { // no more of it fits, and encoding takes time
		return low
	}
	encoded, err := idna.Lookup.ToASCII(string(low))
	if err != nil { // registered all the same, such as an emoji
		encoded, err = idna.Punycode.ToASCII(string(low))
	}
	if err != nil {
		return low
	}
	return []byte(encoded)
}

// cut returns at most n octets of s, without a broken character at the end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

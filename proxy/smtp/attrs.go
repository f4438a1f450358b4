package smtp

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Attr is one attribute of XCLIENT or XFORWARD
// (https://www.postfix.org/XCLIENT_README.html), its value decoded.
type Attr struct{ Name, Value string }

// Bounds of attributes, in octets.
const (
	maxAttrName  = 32  // the longest known is REVERSE_NAME
	maxAttrValue = 255 // decoded; Postfix takes no more even in xtext
)

// NoAttrs is an XCLIENT or XFORWARD without attributes, or with something else.
const NoAttrs Fault = "syntax: NAME=value, separated by single spaces"

// ParseAttrs reads the arguments of XCLIENT or XFORWARD. Names come in upper
// case, none of them twice. Values are printable and not empty. An error is a
// Fault.
func ParseAttrs(args []byte) ([]Attr, error) {
	var attrs []Attr
	for word := range bytes.SplitSeq(args, []byte(" ")) {
		name, value, ok := strings.Cut(string(word), "=")
		if !ok || !goodAttrName(name) {
			return nil, NoAttrs
		}
		a := Attr{Name: strings.ToUpper(name)}
		decoded, err := Xtext(value)
		if err != nil {
			return nil, Fault("bad " + a.Name + ": its value is not xtext")
		}
		a.Value = decoded
		if err := a.check(); err != nil {
			return nil, err
		}
		if hasAttr(attrs, a.Name) {
			return nil, Fault(a.Name + " is there twice")
		}
		if len(attrs) == maxParams {
			return nil, Fault("too many attributes")
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}

// SplitAttrs writes attributes as commands, without CRLF: as few as have room,
// with CRLF, in lines of max octets (512 in RFC 5321 section 4.5.3.1.4). Their
// order stays. Each XCLIENT begins the session anew and may change who may say
// another, so what must not get lost belongs at the end.
//
// It fails if an attribute could not be read back: with a bad name or the
// same twice, an empty, too long or unprintable value, or no room in any line.
func SplitAttrs(verb string, attrs []Attr, max int) ([]string, error) {
	var lines []string
	line := []byte(verb)
	for i, a := range attrs {
		if !goodAttrName(a.Name) || hasAttr(attrs[:i], a.Name) {
			return nil, Fault("bad attribute name, or one that is there twice")
		}
		if err := a.check(); err != nil {
			return nil, err
		}
		word := AppendXtext([]byte(" "+a.Name+"="), a.Value)
		if len(verb)+len(word) > max-2 {
			return nil, Fault("bad " + a.Name + ": too long for a line")
		}
		if len(line)+len(word) > max-2 {
			lines = append(lines, string(line))
			line = line[:len(verb)]
		}
		line = append(line, word...)
	}
	if len(line) > len(verb) {
		lines = append(lines, string(line))
	}
	return lines, nil
}

// check checks a value.
func (a Attr) check() error {
	switch {
	case a.Value == "":
		return Fault("bad " + a.Name + ": its value is empty")
	case len(a.Value) > maxAttrValue:
		return Fault("bad " + a.Name + ": its value is too long")
	case !Printable(a.Value):
		return Fault("bad " + a.Name + ": its value is not printable")
	}
	return nil
}

// goodAttrName reports whether a name is a letter, and then letters, digits,
// hyphens and underscores.
func goodAttrName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := 'A' <= c&^0x20 && c&^0x20 <= 'Z'; !letter && (i == 0 || !alnum(c) && c != '-' && c != '_') {
			return false
		}
	}
	return s != "" && len(s) <= maxAttrName
}

func hasAttr(attrs []Attr, name string) bool {
	return slices.ContainsFunc(attrs, func(a Attr) bool { return strings.EqualFold(a.Name, name) })
}

// Printable reports whether s is UTF-8 of letters, marks, numbers, punctuation,
// symbols and the ASCII space: nothing that could end a line, or hide.
func Printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// HostName reports whether s can be the name of a host (RFC 1123 section 2.1),
// with the underscores that are found in the field. A name of digits and dots
// is an address or would be taken for one.
func HostName(s string) bool {
	if len(s) > 255 { // RFC 1035 section 2.3.4
		return false
	}
	numeric := true
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !alnum(c) && c != '-' && c != '_' {
				return false
			}
			numeric = numeric && '0' <= c && c <= '9'
		}
	}
	return !numeric
}

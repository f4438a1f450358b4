package filters

import "strings"

// Header is a message's header section: its fields in their order.
type Header []Field

// Field is one header field.
type Field struct {
	Name  string // as written, without the colon
	Value string // as written after the colon, folds included, final CRLF removed
}

// Get returns the value of the first field with that name, in any case, with
// folds kept and outer white space removed, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return strings.TrimSpace(f.Value)
		}
	}
	return ""
}

// ParseHeader reads a header section that ends before the empty line. A line
// that is neither a field nor the continuation of one ends the section, as
// MTAs read it: all after it belongs to the body.
func ParseHeader(section string) Header {
	var h Header
	for section != "" {
		var field string
		field, section = cutField(section)
		name, value, ok := strings.Cut(field, ":")
		name = strings.TrimRight(name, " \t")
		if !ok || !IsFieldName(name) {
			return h
		}
		h = append(h, Field{Name: name, Value: value})
	}
	return h
}

// cutField cuts after the first line and those that continue it. A fold is part
// of the result as it stands: no copy is made, however many there are.
func cutField(section string) (field, rest string) {
	end := 0
	for {
		i := strings.Index(section[end:], "\r\n")
		if i < 0 {
			return section, ""
		}
		end += i
		rest = section[end+2:]
		if rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			return section[:end], rest
		}
		end += 2
	}
}

// IsFieldName reports whether s is a field name: printable US-ASCII without
// spaces and colons (RFC 5322 section 3.6.8).
func IsFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' {
			return false
		}
	}
	return s != ""
}

package filters

import (
	"strconv"
	"strings"
)

// Path is a reverse-path or forward-path with its parameters (RFC 5321
// section 4.1.2). Its strings may be kept by filters.
type Path struct {
	Local  string // local-part without quotes; "" for the null reverse-path
	Domain string // as the client wrote it, address literals with brackets; "" for <> and <postmaster>
	Params string // ESMTP parameters as the client wrote them, without the leading space
	Raw    string // the path with its angle brackets, source route removed
}

// Null reports whether the path is "<>", the reverse-path of notifications.
func (p *Path) Null() bool { return p.Raw == "<>" }

// String returns the address without its angle brackets, "" for the null path.
func (p *Path) String() string {
	if len(p.Raw) < 2 {
		return ""
	}
	return p.Raw[1 : len(p.Raw)-1]
}

// Param returns the value of the parameter with that keyword, in any case, and
// whether it is there. A parameter without a value yields "".
func (p *Path) Param(keyword string) (value string, ok bool) {
	rest := p.Params
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		key, val, _ := strings.Cut(word, "=")
		if len(key) == len(keyword) && strings.EqualFold(key, keyword) {
			return val, true
		}
	}
	return "", false
}

// Size returns the value of the parameter SIZE (RFC 1870), in octets; 0 when it is
// not there. It reports whether that is a number.
func (p *Path) Size() (octets int64, ok bool) {
	value, there := p.Param("SIZE")
	if !there {
		return 0, true
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	return n, true
}

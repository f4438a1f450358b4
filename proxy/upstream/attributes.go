package upstream

import (
	"net/netip"
	"strconv"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// What XCLIENT and XFORWARD say in place of what is not known.
const (
	unavailable = "[UNAVAILABLE]"
	tempUnavail = "[TEMPUNAVAIL]" // of names only
)

// maxCommand is the longest command, in octets with CRLF (RFC 5321 section
// 4.5.3.1.4).
const maxCommand = 512

// attributes returns those of a client that have a name in names, in that
// order. What cannot be told is left out.
func attributes(s *filters.Session, called clientNames, names []string) []smtp.Attr {
	var list []smtp.Attr
	for _, name := range names {
		if value := attribute(s, called, name); value != "" {
			list = append(list, smtp.Attr{Name: name, Value: value})
		}
	}
	return list
}

// attribute returns an attribute, "" if there is nothing to tell.
func attribute(s *filters.Session, called clientNames, name string) string {
	switch name {
	case "ADDR":
		return address(s.Client.Addr())
	case "PORT":
		return port(s.Client.Port())
	case "DESTADDR":
		return address(s.Local.Addr())
	case "DESTPORT":
		return port(s.Local.Port())
	case "NAME":
		return called.verified
	case "REVERSE_NAME":
		return called.reverse
	case "PROTO":
		if s.ESMTP {
			return "ESMTP"
		}
		return "SMTP"
	case "HELO":
		return tellable(s.Helo) // if it is not told here, the client's own greeting does
	case "LOGIN":
		return tellable(s.AuthUser) // without it the client has not logged in, which refuses rather than allows
	case "IDENT":
		return tellable(s.ID)
	case "SOURCE":
		return "REMOTE"
	}
	return ""
}

func address(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return unavailable
	case a.Is6():
		return "IPV6:" + a.String()
	}
	return a.String()
}

func port(n uint16) string {
	if n == 0 {
		return unavailable
	}
	return strconv.Itoa(int(n))
}

// maxValue is the longest value that Postfix takes, in octets of xtext.
const maxValue = 255

// tellable returns a value that clients choose, if it can be told; else "".
func tellable(value string) string {
	if len(value) > maxValue || !smtp.Printable(value) || len(smtp.AppendXtext(nil, value)) > maxValue {
		return ""
	}
	return value
}

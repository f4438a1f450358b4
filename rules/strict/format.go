package strict

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// formats are the values of the tag "format": each returns what is wrong with
// a text, or "".
var formats = map[string]func(string) string{
	"host":   host,
	"socket": socket,
	"dial":   func(s string) string { return address(s, false) },
	"admin":  admin,
}

// Wrong returns what is wrong with a text of that format, "" if nothing is.
func Wrong(format, text string) string { return formats[format](text) }

// host checks a host name or IP address. Underscores are let pass: they occur.
func host(s string) string {
	if addr, err := netip.ParseAddr(s); err == nil && !strings.ContainsFunc(addr.Zone(), unicode.IsControl) {
		return ""
	}
	if s == "" || len(s) > 255 {
		return "want a host name of at most 255 characters"
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, letters) != "" || label[0] == '-' {
			return "want a host name such as mx.example.org, got " + quote(s)
		}
	}
	return ""
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// maxPath is the longest path of a Unix socket in octets, less the NUL.
const maxPath = 107

// socket checks "unix:/path", "inet:host:port", "inet6:host:port" and
// "host:port".
func socket(s string) string {
	family, rest, _ := strings.Cut(s, ":")
	switch family {
	case "unix":
		if !strings.HasPrefix(rest, "/") || len(rest) > maxPath || strings.ContainsFunc(rest, unicode.IsControl) {
			return "want an absolute path of at most 107 characters behind unix:, got " + quote(rest)
		}
		return ""
	case "inet", "inet6":
		return address(rest, true)
	}
	return address(s, true)
}

// admin checks "unix:/path" and "host:port".
func admin(s string) string {
	if strings.HasPrefix(s, "unix:") {
		return socket(s)
	}
	return address(s, true)
}

// address checks "host:port". Without a host it is all of the machine's own.
func address(s string, own bool) string {
	name, port, err := net.SplitHostPort(s)
	if err != nil {
		return "want host:port, got " + quote(s)
	}
	least := 1
	if own {
		least = 0 // any free port
	}
	if n, err := strconv.Atoi(port); err != nil || n < least || n > 65535 {
		return "want a port number after the last colon, got " + quote(port)
	}
	switch {
	case name == "" && own:
		return ""
	case name == "":
		return "want a host before the port, got " + quote(s)
	}
	return host(name)
}

package milter

import (
	"bytes"
	"fmt"
	"net"
	"strings"
)

// fault returns what is wrong with a packet, "" for nothing. It lets pass what
// the library can take, and what says all that an MTA has to say.
func fault(code byte, data []byte, negotiated bool) string {
	if (code == 'O') == negotiated {
		return fmt.Sprintf("%q where a negotiation is %s", code, map[bool]string{true: "over", false: "due"}[negotiated])
	}
	switch code {
	case 'O':
		if len(data) < 12 {
			return "a negotiation without version, actions and protocol"
		}
	case 'C':
		return connectFault(data)
	case 'H':
		if len(data) == 0 {
			return "HELO without a name"
		}
	case 'M', 'R':
		if bytes.IndexByte(data, 0) < 0 {
			return fmt.Sprintf("%q without an end of its address", code)
		}
	case 'L':
		if stringsIn(data) != 2 {
			return "a header field that is not a name and a value"
		}
	case 'D':
		if len(data) == 0 {
			return "macros for no command"
		}
	case 'E':
		if len(data) > 0 {
			return "an end of the message with more of it" // which the library would not show
		}
	case 'T', 'N', 'B', 'U', 'A', 'Q', 'K':
	default:
		return fmt.Sprintf("unknown command %q", code)
	}
	return ""
}

// stringsIn counts strings, each with a NUL at its end. The last may lack it.
func stringsIn(data []byte) int {
	if len(data) == 0 {
		return 0
	}
	return bytes.Count(data[:len(data)-1], []byte{0}) + 1
}

// connectFault judges what tells of a client: its name, NUL, the family of its
// address, and for most of them port, address, NUL.
func connectFault(data []byte) string {
	_, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || len(rest) == 0 {
		return "a client without an address family"
	}
	family, rest := rest[0], rest[1:]
	if family == 'U' {
		return ""
	}
	if len(rest) < 2 {
		return "a client without a port"
	}
	address, _, _ := bytes.Cut(rest[2:], []byte{0})
	switch family {
	case 'L':
		return ""
	case '4':
		if ip := net.ParseIP(string(address)); ip == nil || ip.To4() == nil {
			return fmt.Sprintf("%q is no IPv4 address", address)
		}
		return ""
	case '6':
		a := strings.TrimPrefix(string(address), "IPv6:")
		if len(a) > 2 && a[0] == '[' && a[len(a)-1] == ']' {
			a = a[1 : len(a)-1]
		}
		if net.ParseIP(a) == nil {
			return fmt.Sprintf("%q is no IPv6 address", address)
		}
		return ""
	}
	return fmt.Sprintf("unknown address family %q", family)
}

// Package haproxy is the PROXY protocol, versions 1 and 2: the header that a
// load balancer sends ahead of a connection's first octet, to tell who the
// client is. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt is
// its specification; sections named here are sections of that.
//
// Who may send a header is not decided here. It must be configured, never
// guessed from the octets (section 5).
package haproxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mailweir/mailweir/filters"
)

// Header is what a PROXY header tells of a connection.
type Header struct {
	Local        bool           // the connection is the proxy's own, such as a health check: its own addresses count
	Source, Dest netip.AddrPort // of the client's connection, zero if Local; mapped IPv4 addresses are IPv4
	TLS          *filters.TLS   // of the client's connection, nil for none or unknown; ServerName is that of the header
	ServerName   string         // the host that the client asked for, "" for none
	UniqueID     string         // the proxy's name for the connection, printable ASCII, "" for none
}

// ErrNone says that a connection begins with something else than a header.
var ErrNone = errors.New("PROXY header: there is none")

// How a header begins, in version 1 and 2 (sections 2.1 and 2.2).
const (
	lineMark  = "PROXY "
	blockMark = "\r\n\r\n\x00\r\nQUIT\n"
)

// IsHeader reports whether octets from a client begin as a header does, to
// recognise one from somebody who may not send it.
func IsHeader(first []byte) bool {
	return bytes.HasPrefix(first, []byte(lineMark)) || bytes.HasPrefix(first, []byte(blockMark))
}

// mayBegin reports whether octets are the beginning of a header, or may become
// it when more arrive.
func mayBegin(first []byte) bool {
	for _, mark := range []string{lineMark, blockMark} {
		n := min(len(first), len(mark))
		if string(first[:n]) == mark[:n] {
			return true
		}
	}
	return false
}

// bad is an error about a header's content.
func bad(format string, args ...any) error { return fmt.Errorf("PROXY header: "+format, args...) }

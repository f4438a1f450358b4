package haproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/pires/go-proxyproto"
)

// Sizes of headers in octets.
const (
	// shortest is PROXY UNKNOWN with its CRLF; the least of version 2 has 16.
	shortest = 15
	// maxLine is the longest line, with its CRLF (section 2.1).
	maxLine = 107
	// blockHead is the part of a version 2 header that tells the length of the
	// rest (section 2.2).
	blockHead = 16
	// maxRest bounds that length. The specification allows 65,535 and expects
	// less than a packet; a client's certificate, which proxies may add, takes
	// up to some 2,000.
	maxRest = 4096
)

// take takes one header's octets, and of a good header not one octet more:
// what follows belongs to the session, or to its TLS.
func take(r io.Reader) ([]byte, error) {
	raw := make([]byte, 0, maxLine)
	for {
		n, err := missing(raw)
		if n == 0 || err != nil {
			return raw, err
		}
		at := len(raw)
		raw = slices.Grow(raw, n)
		got, err := io.ReadAtLeast(r, raw[at:at+n], 1)
		raw = raw[:at+got]
		if err != nil {
			return nil, broken(at, err)
		}
	}
}

// broken tells of a connection that failed or ended within a header.
func broken(at int, err error) error {
	if at > 0 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return bad("incomplete after %d octets: %w", at, err)
}

// missing returns how many octets a header lacks that begins with raw, or as
// many as it lacks at least: none when it is complete.
func missing(raw []byte) (int, error) {
	switch {
	case !mayBegin(raw):
		return 0, ErrNone
	case len(raw) == 0:
		return shortest, nil
	case raw[0] == lineMark[0]:
		return missingOfLine(raw)
	case len(raw) < blockHead:
		return blockHead - len(raw), nil
	}
	rest, err := checkHead(raw)
	return blockHead + rest - len(raw), err
}

// missingOfLine is missing for a header of version 1. Its end must be CRLF
// (section 2.1).
func missingOfLine(line []byte) (int, error) {
	at := bytes.IndexAny(line, "\r\n")
	switch {
	case at >= 0 && line[at] == '\n':
		return 0, bad("line ends with a bare LF: %q", line)
	case at >= 0 && at+1 < len(line) && line[at+1] != '\n':
		return 0, bad("bare CR in the line: %q", line)
	case at >= 0 && at+1 < len(line) && at+2 < max(shortest, len(line)):
		return 0, bad("line too short: %q", line[:at])
	case at >= 0 && at+2 == len(line):
		return 0, nil
	case len(line) >= maxLine || at < 0 && len(line) >= maxLine-1:
		return 0, bad("line of more than %d octets", maxLine)
	case at >= 0:
		return 1, nil
	}
	return min(leastOfLine(line), maxLine-len(line)), nil
}

// leastOfLine returns how many octets any good line lacks that begins like
// this, so that it need not be read octet by octet. TCP4 and TCP6 have five
// spaces with something after each.
func leastOfLine(line []byte) int {
	const crlf, spaces = 2, 5
	if len(line) < shortest {
		return shortest - len(line)
	}
	if bytes.HasPrefix(line[len(lineMark):], []byte("TCP")) {
		return crlf + 2*max(0, spaces-bytes.Count(line, []byte(" ")))
	}
	return crlf
}

// Commands and version of a version 2 header's 13th octet (section 2.2).
const (
	version2 = 2
	cmdLocal = 0
	cmdProxy = 1
)

// checkHead checks the head of a version 2 header and returns how many octets
// follow it.
func checkHead(head []byte) (int, error) {
	version, cmd := head[12]>>4, head[12]&0xf
	rest := int(binary.BigEndian.Uint16(head[14:]))
	switch {
	case version != version2:
		return 0, bad("unknown version %d", version)
	case cmd != cmdLocal && cmd != cmdProxy:
		return 0, bad("unknown command %d", cmd)
	case rest > maxRest:
		return 0, bad("length of %d octets is above the limit of %d", rest, maxRest)
	case cmd == cmdLocal: // its family and addresses are ignored
		return rest, nil
	}
	least, err := addresses(proxyproto.AddressFamilyAndProtocol(head[13]))
	if err == nil && rest < least {
		err = bad("length of %d octets is too short for addresses of %d", rest, least)
	}
	return rest, err
}

// addresses returns how many octets the addresses of a protocol take. Those
// that do not tell a client's address and port are refused.
func addresses(protocol proxyproto.AddressFamilyAndProtocol) (int, error) {
	switch protocol {
	case proxyproto.TCPv4:
		return 2*4 + 2*2, nil
	case proxyproto.TCPv6:
		return 2*16 + 2*2, nil
	case proxyproto.UNSPEC:
		return 0, bad("it does not tell the client's address (AF_UNSPEC)")
	case proxyproto.UnixStream, proxyproto.UnixDatagram:
		return 0, bad("the client's address is a UNIX socket's: it must be TCP over IPv4 or IPv6")
	case proxyproto.UDPv4, proxyproto.UDPv6:
		return 0, bad("the client's protocol is UDP: it must be TCP")
	}
	return 0, bad("unknown address family and protocol 0x%02x", byte(protocol))
}

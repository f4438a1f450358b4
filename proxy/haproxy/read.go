package haproxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Read reads the header that a connection begins with, of version 1 or 2. It
// takes the octets of that header and not one more, and waits for what is
// missing: the connection must have a deadline.
//
// After an error the connection is of no more use. It is ErrNone if there is
// no header, wraps io.EOF if there is nothing at all, io.ErrUnexpectedEOF if
// the header is cut off, and the connection's own error if that failed; all
// others say what is wrong. Its text can be logged: what it quotes is escaped.
func Read(r io.Reader) (Header, error) {
	raw, err := take(r)
	if err != nil {
		return Header{}, err
	}
	if raw[0] != lineMark[0] && raw[12]&0xf == cmdLocal {
		return Header{Local: true}, nil
	}
	p, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(raw), len(raw)))
	switch {
	case err != nil && raw[0] == lineMark[0]:
		return Header{}, bad("%q: %w", raw[:len(raw)-2], err)
	case err != nil:
		return Header{}, bad("%w", err)
	case p.Command.IsLocal():
		return Header{Local: true}, nil
	}
	source, dest, ok := p.TCPAddrs()
	if !ok {
		return Header{}, bad("it does not tell the client's address")
	}
	h := Header{Source: plain(source), Dest: plain(dest)}
	if p.Version == version2 {
		least, _ := addresses(p.TransportProtocol) // as checked before
		err = h.readTLVs(raw, blockHead+least)
	}
	if err != nil {
		return Header{}, err
	}
	return h, nil
}

// plain makes a mapped IPv4 address an IPv4 address.
func plain(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

package haproxy

import (
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"github.com/mailweir/mailweir/filters"
)

// Append appends a header of version 1 or 2 to dst, for an upstream to read
// before all else. A header that is not Local needs both addresses; if only
// one is IPv4, it goes as a mapped IPv6 address. Version 1 tells addresses
// alone. Version 2 tells of TLS (not of the certificate's fingerprint), server
// name and unique ID too, leaving out those that are not valid: a server name
// of the header comes before that of its TLS.
func Append(dst []byte, version int, h Header) ([]byte, error) {
	if version != 1 && version != version2 {
		return dst, bad("unknown version %d: there are 1 and 2", version)
	}
	p := &proxyproto.Header{Version: byte(version), Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	if !h.Local {
		if !h.Source.IsValid() || !h.Dest.IsValid() {
			return dst, bad("it needs the addresses of both ends, which are %v and %v", h.Source, h.Dest)
		}
		p = proxyproto.HeaderProxyFromAddrs(byte(version), tcp(h.Source), tcp(h.Dest))
	}
	if !h.Local && version == version2 {
		tlvs, err := h.tlvs()
		if err == nil {
			err = p.SetTLVs(tlvs)
		}
		if err != nil {
			return dst, err
		}
	}
	wire, err := p.Format()
	if err != nil {
		return dst, bad("%w", err)
	}
	return append(dst, wire...), nil
}

func tcp(a netip.AddrPort) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()))
}

// tlvs returns the values that follow the addresses.
func (h *Header) tlvs() (list []proxyproto.TLV, err error) {
	tell := func(typ proxyproto.PP2Type, value string) {
		if value != "" {
			list = append(list, proxyproto.TLV{Type: typ, Value: []byte(value)})
		}
	}
	encrypted := h.TLS != nil && *h.TLS != filters.TLS{}
	name := hostName(h.ServerName)
	if name == "" && encrypted {
		name = hostName(h.TLS.ServerName)
	}
	tell(proxyproto.PP2_TYPE_AUTHORITY, name)
	tell(proxyproto.PP2_TYPE_UNIQUE_ID, uniqueID(h.UniqueID))
	if !encrypted {
		return list, nil
	}
	ssl, err := tlsValue(h.TLS)
	return append(list, ssl), err
}

// tlsValue tells of TLS (section 2.2.6).
func tlsValue(t *filters.TLS) (proxyproto.TLV, error) {
	if !word(t.Version) || t.Cipher != "" && !word(t.Cipher) {
		return proxyproto.TLV{}, bad("TLS version %.80q or cipher %.80q is not a name", t.Version, t.Cipher)
	}
	const unverified = 1 // anything but 0
	ssl := tlvparse.PP2SSL{Client: tlvparse.PP2_BITFIELD_CLIENT_SSL, Verify: unverified}
	tell := func(typ proxyproto.PP2Type, value string) {
		if value != "" {
			ssl.TLV = append(ssl.TLV, proxyproto.TLV{Type: typ, Value: []byte(value)})
		}
	}
	tell(proxyproto.PP2_SUBTYPE_SSL_VERSION, t.Version)
	if t.Client != "" || t.Fingerprint != "" || t.Verified { // there is a certificate
		ssl.Client |= tlvparse.PP2_BITFIELD_CLIENT_CERT_CONN | tlvparse.PP2_BITFIELD_CLIENT_CERT_SESS
		if t.Verified {
			ssl.Verify = 0
		}
		tell(proxyproto.PP2_SUBTYPE_SSL_CN, commonName(t.Client))
	}
	tell(proxyproto.PP2_SUBTYPE_SSL_CIPHER, t.Cipher)
	return ssl.Marshal()
}

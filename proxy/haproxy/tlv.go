package haproxy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// Limits of values in octets.
const (
	maxUniqueID = 128 // section 2.2.5
	maxWord     = 64  // version and cipher of TLS: the longest names have some 50
	maxCommon   = 255 // a certificate's common name: RFC 5280 appendix A.1 has 64 characters
	sslHead     = 5   // client and verify, section 2.2.6
)

// readTLVs reads the values that follow the addresses, from octet at on. Those
// that mean nothing here are skipped; what is used must not come twice, or two
// readers could take different ones.
func (h *Header) readTLVs(raw []byte, at int) error {
	var seen [256]bool
	for at < len(raw) {
		const head = 3 // type and length
		if len(raw)-at < head {
			return bad("value cut off within its length at octet %d", at)
		}
		typ := proxyproto.PP2Type(raw[at])
		start := at + head
		end := start + int(binary.BigEndian.Uint16(raw[at+1:]))
		if end > len(raw) {
			return bad("value of type 0x%02x at octet %d reaches beyond the end", byte(typ), at)
		}
		used, err := h.readTLV(typ, raw, start, end)
		if err != nil {
			return err
		}
		if used && seen[typ] {
			return bad("two values of type 0x%02x", byte(typ))
		}
		seen[typ] = true
		at = end
	}
	if h.TLS != nil {
		h.TLS.ServerName = h.ServerName
	}
	return nil
}

// readTLV reads the value raw[start:end] if it means something here. What the
// proxy made itself must be right. A server name is the client's own words:
// one that is no host name is left out, as if the client had sent none.
func (h *Header) readTLV(typ proxyproto.PP2Type, raw []byte, start, end int) (used bool, err error) {
	value := raw[start:end]
	switch typ {
	case proxyproto.PP2_TYPE_AUTHORITY:
		h.ServerName = hostName(string(value))
	case proxyproto.PP2_TYPE_UNIQUE_ID:
		if len(value) > maxUniqueID {
			return true, bad("unique ID of %d octets: it may have %d", len(value), maxUniqueID)
		}
		h.UniqueID = uniqueID(string(value))
	case proxyproto.PP2_TYPE_CRC32C:
		return true, checkSum(raw, start, end)
	case proxyproto.PP2_TYPE_SSL:
		h.TLS, err = readTLS(value)
	default:
		return false, nil
	}
	return true, err
}

// checkSum compares the CRC32c that is raw[start:end] with that of the whole
// header, for which it counts as zero (section 2.2.3).
func checkSum(raw []byte, start, end int) error {
	const size = 4
	if end-start != size {
		return bad("checksum of %d octets: it must have %d", end-start, size)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, raw[:start])
	sum = crc32.Update(sum, table, make([]byte, size))
	sum = crc32.Update(sum, table, raw[end:])
	if told := binary.BigEndian.Uint32(raw[start:]); told != sum {
		return bad("wrong checksum %08x: it is %08x", told, sum)
	}
	return nil
}

// readTLS reads what is told of TLS (section 2.2.6). It returns nil if the
// client did not use it.
func readTLS(value []byte) (*filters.TLS, error) {
	if len(value) < sslHead {
		return nil, bad("TLS value of %d octets: it has %d at least", len(value), sslHead)
	}
	ssl, err := tlvparse.SSL(proxyproto.TLV{Type: proxyproto.PP2_TYPE_SSL, Value: value})
	if err != nil {
		return nil, bad("TLS value: %w", err)
	}
	if !ssl.ClientSSL() {
		return nil, nil
	}
	for i, sub := range ssl.TLV {
		if readSub(sub.Type) && slices.ContainsFunc(ssl.TLV[:i], func(o proxyproto.TLV) bool { return o.Type == sub.Type }) {
			return nil, bad("TLS value: two of type 0x%02x", byte(sub.Type))
		}
	}
	version, _ := ssl.SSLVersion()
	cipher, _ := ssl.SSLCipher()
	if !word(version) || cipher != "" && !word(cipher) {
		return nil, bad("TLS value: version %.80q or cipher %.80q is not a name", version, cipher)
	}
	t := &filters.TLS{Version: version, Cipher: cipher}
	if ssl.ClientCertConn() || ssl.ClientCertSess() {
		cn, _ := ssl.ClientCN()
		t.Client, t.Verified = commonName(cn), ssl.Verified()
		if cert, ok := ssl.ClientCert(); ok && len(cert) > 0 {
			sum := sha256.Sum256(cert)
			t.Fingerprint = hex.EncodeToString(sum[:])
		}
	}
	return t, nil
}

// readSub reports whether readTLS reads values of a type.
func readSub(typ proxyproto.PP2Type) bool {
	switch typ {
	case proxyproto.PP2_SUBTYPE_SSL_VERSION, proxyproto.PP2_SUBTYPE_SSL_CIPHER,
		proxyproto.PP2_SUBTYPE_SSL_CN, proxyproto.PP2_SUBTYPE_SSL_CLIENT_CERT:
		return true
	}
	return false
}

// hostName returns a name if it is one, else "".
func hostName(s string) string {
	if !smtp.HostName(s) {
		return ""
	}
	return s
}

// uniqueID returns an ID if it can be logged, else "": to the specification it
// is opaque, so it may be binary.
func uniqueID(s string) string {
	if len(s) > maxUniqueID || !visible(s) {
		return ""
	}
	return s
}

// commonName returns a certificate's name if it can be logged, else "". Who
// issues a certificate to himself may put anything there.
func commonName(s string) string {
	if len(s) > maxCommon || !smtp.Printable(s) {
		return ""
	}
	return s
}

// word reports whether s can be the name of a TLS version or cipher.
func word(s string) bool { return s != "" && len(s) <= maxWord && visible(s) }

// visible reports whether s is ASCII without spaces and controls.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

package certs_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"slices"
	"sync"
)

// hello is a first message of a client, as no library would send it: with any
// version, cipher suites and groups (RFC 8446 section 4.1.2, RFC 5246 section
// 7.4.1.2).
type hello struct {
	version uint16   // 0x0300 for SSLv3, or of TLS
	suites  []uint16 // nil for all that there can be
	groups  []uint16 // nil for common ones
}

const ssl3 = 0x0300

// Numbers of extensions (RFC 8446 section 4.2, RFC 8422 section 5.1).
const (
	extGroups       = 10
	extPointFormats = 11
	extSignatures   = 13
	extVersions     = 43
	extKeyShare     = 51
)

// Signature schemes of each kind of key (RFC 8446 section 4.2.3).
var schemes = []uint16{0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201, 0x0203}

// octets is the record that the hello goes in.
func (h hello) octets() []byte {
	body := be16(min(h.version, tls.VersionTLS12))
	body = append(body, make([]byte, 32)...) // random
	body = append(body, 0)                   // no session
	suites := h.suites
	if suites == nil {
		suites = commonSuites()
	}
	body = append(body, vector16(list(suites))...)
	body = append(body, 1, 0) // no compression
	if h.version > ssl3 {
		body = append(body, vector16(h.extensions())...)
	}
	message := append([]byte{1, 0}, vector16(body)...)
	return append([]byte{22, 3, 1}, vector16(message)...)
}

func (h hello) extensions() []byte {
	groups := h.groups
	if groups == nil {
		groups = []uint16{uint16(tls.X25519), uint16(tls.CurveP256)}
	}
	all := extension(extGroups, vector16(list(groups)))
	all = append(all, extension(extPointFormats, []byte{1, 0})...)
	all = append(all, extension(extSignatures, vector16(list(schemes)))...)
	if h.version == tls.VersionTLS13 {
		all = append(all, extension(extVersions, append([]byte{2}, be16(h.version)...))...)
		all = append(all, extension(extKeyShare, vector16(nil))...) // to be told which
	}
	return all
}

// commonSuites are those that Go knows, for hellos that are about other things.
func commonSuites() (ids []uint16) {
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, s.ID)
	}
	return ids
}

func be16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

func list(ids []uint16) (out []byte) {
	for _, id := range ids {
		out = binary.BigEndian.AppendUint16(out, id)
	}
	return out
}

// vector16 is data behind its length (RFC 8446 section 3.4).
func vector16(data []byte) []byte { return append(be16(uint16(len(data))), data...) }

func extension(number uint16, data []byte) []byte { return append(be16(number), vector16(data)...) }

// ssl2 is a hello of SSLv2, of which nothing but its form matters.
var ssl2 = []byte{0x80, 0x1c, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// answers reports whether the server goes on with the handshake: it answers
// with its own hello.
func answers(server *tls.Config, first []byte) bool {
	near, far := connection()
	var done sync.WaitGroup
	done.Go(func() {
		defer near.Close()
		_ = tls.Server(near, server).Handshake()
	})
	defer done.Wait()
	defer far.Close()
	_, _ = far.Write(first)
	head := make([]byte, 6) // a record's head and the message's number
	if _, err := io.ReadFull(far, head); err != nil {
		return false
	}
	return head[0] == 22 && head[5] == 2 // handshake, ServerHello
}

// accepted returns which of the numbers the server accepts. try offers many at
// once.
func accepted(ids []uint16, try func([]uint16) bool) []uint16 {
	const most = 4096 // fit into one record
	if len(ids) > most {
		return slices.Concat(accepted(ids[:most], try), accepted(ids[most:], try))
	}
	switch {
	case len(ids) == 0 || !try(ids):
		return nil
	case len(ids) == 1:
		return ids
	}
	half := len(ids) / 2
	return slices.Concat(accepted(ids[:half], try), accepted(ids[half:], try))
}

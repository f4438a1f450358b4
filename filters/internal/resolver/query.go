package resolver

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"
)

const (
	headerLen = 12   // RFC 1035 section 4.1.1
	udpSize   = 1232 // what passes without fragments, as agreed on DNS flag day 2020
)

// query is a question as it is sent.
type query struct {
	key
	wire     []byte
	question []byte // the part of wire with name, type and class
	edns     bool
}

// newQuery makes a query with a random id, and letters of random case if
// random is set.
func newQuery(k key, random, edns bool) (*query, error) {
	var dice [2 + (maxName+7)/8]byte
	rand.Read(dice[:]) // never fails
	name := []byte(k.name + ".")
	for i, c := range name {
		if random && isLetter(c) && dice[2+i/8]>>(i%8)&1 == 1 {
			name[i] = c ^ 0x20
		}
	}
	m := new(dns.Msg)
	m.SetQuestion(string(name), uint16(k.typ))
	m.Id = binary.BigEndian.Uint16(dice[:])
	if edns {
		m.SetEdns0(udpSize, false)
	}
	wire, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("the question cannot be written: %w", err)
	}
	// As a name has no escapes, each of its dots stands for the length of a
	// label, and one octet more ends it.
	end := headerLen + len(name) + 1 + 4
	return &query{key: k, wire: wire, question: wire[headerLen:end], edns: edns}, nil
}

// fit is how a packet fits a question.
type fit int

const (
	stranger  fit = iota // no reply to it
	otherCase            // a reply, but for the case of its letters
	bareError            // a header alone, with an error, as some servers reply to what they cannot read
	same                 // a reply to it
)

// fits compares a packet with the question: id, kind and all octets of name,
// type and class.
func (q *query) fits(packet []byte) fit {
	if len(packet) < headerLen || !bytes.Equal(packet[:2], q.wire[:2]) {
		return stranger
	}
	h := headerOf(packet)
	if !h.response || h.opcode != dns.OpcodeQuery {
		return stranger
	}
	if h.questions == 0 && h.answers == 0 && len(packet) == headerLen && bareErrors[h.rcode] {
		return bareError
	}
	if h.questions != 1 || len(packet) < headerLen+len(q.question) {
		return stranger
	}
	asked := packet[headerLen : headerLen+len(q.question)]
	if bytes.Equal(asked, q.question) {
		return same
	}
	// The octets of lengths are below those of letters.
	name := len(q.question) - 4
	for i, c := range asked {
		if c != q.question[i] && (i >= name || fold(c) != fold(q.question[i])) {
			return stranger
		}
	}
	return otherCase
}

// bareErrors are the errors that may come without the question.
var bareErrors = map[int]bool{
	dns.RcodeFormatError:    true,
	dns.RcodeServerFailure:  true,
	dns.RcodeNotImplemented: true,
	dns.RcodeRefused:        true,
}

// header is the first part of a packet (RFC 1035 section 4.1.1).
type header struct {
	response, authoritative, truncated, recursive bool

	opcode, rcode int

	questions, answers, authorities, additional int
}

// headerOf reads the header of a packet that has one.
func headerOf(packet []byte) header {
	count := func(at int) int { return int(binary.BigEndian.Uint16(packet[at:])) }
	return header{
		response:      packet[2]&0x80 != 0,
		opcode:        int(packet[2] >> 3 & 0xf),
		authoritative: packet[2]&0x04 != 0,
		truncated:     packet[2]&0x02 != 0,
		recursive:     packet[3]&0x80 != 0,
		rcode:         int(packet[3] & 0xf),
		questions:     count(4),
		answers:       count(6),
		authorities:   count(8),
		additional:    count(10),
	}
}

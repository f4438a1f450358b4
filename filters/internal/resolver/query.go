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
	end := m.Len()
	if edns {
		m.SetEdns0(udpSize, false)
	}
	wire, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("the question cannot be written: %w", err)
	}
	return &query{key: k, wire: wire, question: wire[headerLen:end]}, nil
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
	if !h.Response || h.Opcode != dns.OpcodeQuery {
		return stranger
	}
	counts := packet[4:headerLen]
	if len(packet) == headerLen && binary.BigEndian.Uint32(counts) == 0 && bareErrors[h.Rcode] {
		return bareError
	}
	end := headerLen + len(q.question)
	if len(packet) < end || binary.BigEndian.Uint16(counts) != 1 {
		return stranger
	}
	switch asked := packet[headerLen:end]; {
	case bytes.Equal(asked, q.question):
		return same
	case bytes.EqualFold(asked, q.question):
		// The question is ASCII, and in it only the name has letters.
		return otherCase
	}
	return stranger
}

// bareErrors are the errors that may come without the question.
var bareErrors = map[int]bool{
	dns.RcodeFormatError:    true,
	dns.RcodeServerFailure:  true,
	dns.RcodeNotImplemented: true,
	dns.RcodeRefused:        true,
}

// headerOf reads the header of a packet that has one.
func headerOf(packet []byte) dns.MsgHdr {
	var m dns.Msg
	m.Unpack(packet[:headerLen]) // never fails for a header alone
	return m.MsgHdr
}

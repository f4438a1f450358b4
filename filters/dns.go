package filters

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Resolver asks the DNS. It is safe for concurrent use.
type Resolver interface {
	// Lookup answers from the cache or asks the servers, for as long as ctx
	// and the resolver's own limit allow. Its error is a *DNSError.
	Lookup(ctx context.Context, q Question) (Answer, error)

	// Known answers from the cache alone. ok is false when it has nothing,
	// or nothing that is still valid.
	Known(q Question) (a Answer, err error, ok bool)

	// Fresh returns the same resolver without its memory: it asks the servers
	// each time, and stores what they say.
	Fresh() Resolver
}

// RecordType is a type of DNS records (RFC 1035 section 3.2.2, RFC 3596).
type RecordType uint16

// The types that are asked for.
const (
	TypeA    RecordType = 1
	TypePTR  RecordType = 12
	TypeMX   RecordType = 15
	TypeTXT  RecordType = 16
	TypeAAAA RecordType = 28
	TypeSRV  RecordType = 33 // RFC 2782
)

// String returns the type's name.
func (t RecordType) String() string {
	switch t {
	case TypeA:
		return "A"
	case TypePTR:
		return "PTR"
	case TypeMX:
		return "MX"
	case TypeTXT:
		return "TXT"
	case TypeAAAA:
		return "AAAA"
	case TypeSRV:
		return "SRV"
	}
	return fmt.Sprintf("TYPE%d", uint16(t))
}

// Question is what the DNS is asked. The name is absolute, with or without its
// final dot.
type Question struct {
	Name string
	Type RecordType
}

// Answer is what the DNS knows. Of its lists the one of the question's type is
// filled, with at least one item. It must not be changed: others share it.
type Answer struct {
	Addrs  []netip.Addr  // A, AAAA
	Names  []string      // PTR, without the final dot
	MXs    []MX          // by preference
	Texts  []string      // TXT, the strings of each record joined
	SRVs   []SRV         // by priority
	TTL    time.Duration // how long it is still valid
	Cached bool          // no server was asked
}

// MX is a mail exchanger (RFC 5321 section 5.1). The host of a null MX (RFC
// 7505) is "".
type MX struct {
	Host       string // without the final dot
	Preference uint16
}

// SRV is where a service is (RFC 2782). A host of "" says that there is none.
type SRV struct {
	Host     string // without the final dot
	Port     uint16
	Priority uint16
	Weight   uint16
}

// Why there is no answer.
var (
	ErrNXDomain   = errors.New("no such name")                     // RFC 2308 section 2.1
	ErrNoData     = errors.New("no records of that type")          // RFC 2308 section 2.2
	ErrServFail   = errors.New("the name servers failed")          // SERVFAIL, REFUSED, or nothing that makes sense
	ErrDNSBusy    = errors.New("too many questions are under way") // not asked
	ErrDNSTimeout = errors.New("the name servers are silent")
)

// DNSError is a question without an answer.
type DNSError struct {
	Question
	Err    error  // one of those above, or of the context
	Detail string // what the servers said or did, for the log only; "" for nothing
}

func (e *DNSError) Error() string {
	text := fmt.Sprintf("%s %s: %v", e.Type, e.Name, e.Err)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

func (e *DNSError) Unwrap() error { return e.Err }

// NotFound reports whether the DNS has answered that there is nothing.
func NotFound(err error) bool {
	return errors.Is(err, ErrNXDomain) || errors.Is(err, ErrNoData)
}

// ReverseLabels returns the labels under which the DNS files an address, before
// the name of a zone: "1.2.0.192" for 192.0.2.1 (RFC 5782 section 2.1), the 32
// nibbles for IPv6 (section 2.4).
func ReverseLabels(a netip.Addr) string {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		out := make([]byte, 0, len("255.255.255.255"))
		for i := len(b) - 1; i >= 0; i-- {
			out = strconv.AppendUint(out, uint64(b[i]), 10)
			out = append(out, '.')
		}
		return string(out[:len(out)-1])
	}
	const hex = "0123456789abcdef"
	b := a.As16()
	out := make([]byte, 0, 4*len(b))
	for i := len(b) - 1; i >= 0; i-- {
		out = append(out, hex[b[i]&15], '.', hex[b[i]>>4], '.')
	}
	return string(out[:len(out)-1])
}

// ReverseName returns the name of an address's PTR record (RFC 1035 section
// 3.5, RFC 3596 section 2.5).
func ReverseName(a netip.Addr) string {
	if a.Unmap().Is4() {
		return ReverseLabels(a) + ".in-addr.arpa"
	}
	return ReverseLabels(a) + ".ip6.arpa"
}

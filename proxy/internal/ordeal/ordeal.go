// Package ordeal puts a relay to the test: clients that send as MTAs do, again
// and again until a message is through; an upstream that fails in every way and
// at every point of the dialogue; and a ledger of what either knew, which tells
// lost messages and unexplained duplicates from what RFC 1047 cannot avoid.
//
// All chance comes from one seed. What is drawn for a message, an attempt or a
// connection does not depend on the others; in which order they come does.
package ordeal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// A Key names one attempt to send one message. It travels in the reverse-path.
type Key struct{ Message, Attempt int }

// Sender is the address in the reverse-path.
func (k Key) Sender() string { return fmt.Sprintf("%s@test.example", k) }

// String is how upstreams name the attempt in their replies.
func (k Key) String() string { return fmt.Sprintf("m%d.a%d", k.Message, k.Attempt) }

// parseKey reads the argument of MAIL.
func parseKey(args string) (k Key, ok bool) {
	_, path, _ := strings.Cut(args, "<")
	return parseAddress(path)
}

// parseAddress reads what begins with a Sender.
func parseAddress(address string) (k Key, ok bool) {
	_, err := fmt.Sscanf(address, "m%d.a%d@", &k.Message, &k.Attempt)
	return k, err == nil
}

// The domains of recipients.
const (
	Domain      = "test.example"
	OtherDomain = "other.example"
)

// Rcpts are the addresses that a message is for: one to three, of both domains.
func Rcpts(message int) []string {
	return []string{"a@" + Domain, "b@" + OtherDomain, "c@" + OtherDomain}[:1+message%3]
}

// bigEvery of so many messages one is larger than what a relay keeps in memory.
const bigEvery = 97

// Text returns the text of a message: lines of all lengths, dots among them.
func Text(seed uint64, message int) []byte {
	random := rand.New(rand.NewPCG(seed, uint64(message)))
	size := 100 + random.IntN(8000)
	if message%bigEvery == bigEvery-1 {
		size = 300 << 10
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "Subject: message %d\r\nFrom: <from@test.example>\r\n"+
		"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-Id: <%d@test.example>\r\n\r\n", message, message)
	for text.Len() < size {
		if random.IntN(8) == 0 {
			text.WriteByte('.')
		}
		for range random.IntN(70) {
			text.WriteByte(byte('!' + random.IntN('~'-'!'+1)))
		}
		text.WriteString("\r\n")
	}
	fmt.Fprintf(&text, "end of %d\r\n", message)
	return text.Bytes()
}

// stuff doubles the dots that begin a line.
func stuff(text []byte) []byte {
	stuffed := bytes.ReplaceAll(text, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(stuffed, []byte(".")) {
		stuffed = append([]byte("."), stuffed...)
	}
	return stuffed
}

// drawn returns the chance of one of the parties.
func drawn(seed uint64, party string, n int) *rand.Rand {
	for _, c := range party {
		seed = seed*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(seed, uint64(n)))
}

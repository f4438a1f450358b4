package sasl

import (
	"bytes"
	"encoding/base64"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxLine is the longest line of an exchange in octets (RFC 4954 section 4).
// Longer ones are not looked at.
const maxLine = 12288

// maxUser is the longest name that is shown, in octets.
const maxUser = 256

// A finder returns the name that is in a message, a part of it which it may
// have changed, or nil. The message is not valid afterwards.
type finder func(message []byte) []byte

// strict takes no base64 that another decoder could read as something else.
var strict = base64.StdEncoding.Strict()

// messages are buffers of decoded messages, empty of them when not in use.
var messages = sync.Pool{New: func() any { return new([maxLine / 4 * 3]byte) }}

// read returns the name in a message that is given in base64, or "".
func read(line []byte, find finder) string {
	if len(line) > maxLine || bytes.ContainsAny(line, "\r\n") { // the decoder would skip CR and LF
		return ""
	}
	message := messages.Get().(*[maxLine / 4 * 3]byte)
	defer messages.Put(message)
	defer clear(message[:]) // it may hold a password
	n, err := strict.Decode(message[:], line)
	if err != nil {
		return ""
	}
	name := find(message[:n])
	if !presentable(name) {
		return ""
	}
	return string(name)
}

// presentable reports whether a name can stand in a log, a header field or a
// command: printable characters, of white space the space alone. Names that
// are prepared for comparison have no others (RFC 4013 section 2.3).
func presentable(name []byte) bool {
	if len(name) > maxUser || !utf8.Valid(name) {
		return false
	}
	return bytes.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

package main

import (
	"bytes"
	"os"
	"strings"
)

// writeLetter writes a message with an attachment of so many octets as it goes
// over the wire, for smtp-source to send. Who wants to know all that is attached
// must read it to its end.
func writeLetter(file string, octets int) error {
	const line = 76 // RFC 2045 section 6.8
	var b bytes.Buffer
	b.WriteString("Subject: a test\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_part\"\n\n" +
		"--=_part\nContent-Type: text/plain\n\nHello.\n\n" +
		"--=_part\nContent-Type: image/jpeg; name=photo.jpeg\nContent-Transfer-Encoding: base64\n\n")
	text := strings.Repeat("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 2)
	for n := 0; n < octets; n += line + 2 {
		b.WriteString(text[n/line%64:][:64] + text[:line-64] + "\n")
	}
	b.WriteString("--=_part--\n")
	return os.WriteFile(file, b.Bytes(), 0o644)
}

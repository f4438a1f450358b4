package certs_test

import (
	"crypto"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/certs"
)

// FuzzPair holds that what passes for a pair is one.
func FuzzPair(f *testing.F) {
	ca := newAuthority(f, "ca")
	a, b := ca.issue(f, leaf{cn: "a"}), ca.issue(f, leaf{cn: "b", key: rsaKey()})
	f.Add(a.cert, a.key)
	f.Add(join(b.cert, ca.pem()), b.key)
	f.Add(join(a.cert, b.cert), b.key)
	f.Add(a.key, a.cert)
	f.Add(a.cert[:50], []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		_ = certs.ParseAuthorities(cert)
		c, err := certs.ParsePair(cert, key)
		if err != nil {
			return
		}
		pub := c.PrivateKey.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool })
		if !pub.Equal(c.Leaf.PublicKey) || string(c.Certificate[0]) != string(c.Leaf.Raw) {
			t.Error("the key does not fit what is shown")
		}
	})
}

// FuzzPin holds that a fingerprint is all of the digits that were written.
func FuzzPin(f *testing.F) {
	f.Add(strings.Repeat("0a", 32))
	f.Add(strings.Repeat("0A:", 31) + "0A")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := certs.ParsePin(text)
		if err == nil && hex.EncodeToString(p[:]) != strings.ToLower(strings.ReplaceAll(text, ":", "")) {
			t.Errorf("%q is read as %x", text, p)
		}
	})
}

// FuzzNames holds that what peers make up is one line of printable ASCII.
func FuzzNames(f *testing.F) {
	f.Add("mx.example.org")
	f.Add("a\r\n\x00\xff")
	f.Fuzz(func(t *testing.T, text string) {
		for _, out := range []string{certs.HostName(text), certs.Printable(text), certs.Shown(text)} {
			if strings.ContainsFunc(out, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q becomes %q", text, out)
			}
		}
		if host := certs.HostName(text); host != "" && host != strings.ToLower(text) {
			t.Errorf("%q becomes %q", text, host)
		}
		if len(certs.Shown(text)) > 310 {
			t.Errorf("%d octets are shown", len(certs.Shown(text)))
		}
	})
}

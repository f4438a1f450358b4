package sasl_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mailweir/mailweir/proxy/sasl"
)

var validMechanism = regexp.MustCompile(`^[A-Z0-9_-]{0,20}$`)

// presentable is what a name must be to be shown.
func presentable(s string) bool {
	return utf8.ValidString(s) && len(s) <= 256 && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// FuzzExchange plays what a client might send. Whatever it is, a name is fit to
// be shown and was in the first message.
func FuzzExchange(f *testing.F) {
	for _, c := range found {
		f.Add([]byte(c.mechanism+" "+b64(c.message)), []byte(""), []byte("*"))
		f.Add([]byte(c.mechanism), []byte(b64(c.message)), []byte(b64(secret)))
	}
	f.Add([]byte("CRAM-MD5"), []byte(b64("tim "+digest)), []byte(""))
	f.Fuzz(func(t *testing.T, args, one, two []byte) {
		var e sasl.Exchange
		e.Begin(args)
		first := string(one)
		if fields := strings.Fields(string(args)); len(fields) > 1 {
			first = fields[1]
		}
		for _, line := range [][]byte{nil, one, two} {
			if line != nil {
				e.Line(line)
			}
			user := e.User()
			if !validMechanism.MatchString(e.Mechanism()) || !presentable(user) || user != "" && e.Mechanism() == "" {
				t.Fatalf("%q logs in by %q", user, e.Mechanism())
			}
			message, _ := base64.StdEncoding.DecodeString(first)
			escaped := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
			if !strings.Contains(string(message), user) && !strings.Contains(string(message), escaped) {
				t.Fatalf("%q logs in, but %q was sent", user, message)
			}
		}
	})
}

// FuzzPlain logs in with any name and password.
func FuzzPlain(f *testing.F) {
	f.Add("", "tim", "secret")
	f.Add("Ursel", "Kurt", "xipj3plmq")
	f.Add("", "", "")
	f.Add("a", "b", "\x00")
	f.Fuzz(func(t *testing.T, authzid, authcid, password string) {
		message := authzid + "\x00" + authcid + "\x00" + password
		want := authcid
		if strings.Count(message, "\x00") != 2 || !presentable(authcid) || len(b64(message)) > 12288 {
			want = ""
		}
		var e sasl.Exchange
		e.Begin([]byte("PLAIN"))
		e.Line([]byte(b64(message)))
		if e.User() != want {
			t.Fatalf("%q shows as %q, want %q", message, e.User(), want)
		}
	})
}

package sasl_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/sasl"
)

// b64 is how a message looks on the line.
func b64(message string) string { return base64.StdEncoding.EncodeToString([]byte(message)) }

const secret = "tanstaaf tanstaaf"

var digest = strings.Repeat("0123456789abcdef", 2)

// found are messages of clients in which the name shows. The first of a
// mechanism is its specification's example, where it has one.
var found = []struct{ mechanism, message, user string }{
	{"PLAIN", "\x00tim\x00" + secret, "tim"},
	{"PLAIN", "Ursel\x00Kurt\x00" + secret, "Kurt"},
	{"PLAIN", "Kurt\x00Kurt\x00" + secret, "Kurt"},
	{"PLAIN", "\x00jürgen müller@example.org\x00" + secret, "jürgen müller@example.org"},
	{"PLAIN", "\x00" + strings.Repeat("u", 256) + "\x00" + strings.Repeat("p", 8000), strings.Repeat("u", 256)},
	{"LOGIN", "tim@example.org", "tim@example.org"},
	{"EXTERNAL", "fred@example.com", "fred@example.com"},
	{"SCRAM-SHA-1", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "user"},
	{"SCRAM-SHA-256", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "user"},
	{"SCRAM-SHA-1-PLUS", "p=tls-unique,,n=user,r=x", "user"},
	{"SCRAM-SHA-256-PLUS", "p=tls-exporter,a=boss,n=user,r=x,ext=1", "user"},
	{"SCRAM-SHA-512", "y,,n=a=2Cb=3Dc=3D2C,r=x", "a,b=c=2C"},
	{"XOAUTH2", "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg\x01\x01", "someuser@example.com"},
	{"OAUTHBEARER", "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01", "user@example.com"},
	{"OAUTHBEARER", "n,a==3D=2C,\x01auth=Bearer x\x01\x01", "=,"},
}

// The name shows with an initial response and with a message of its own.
func TestUser(t *testing.T) {
	for _, c := range found {
		var e sasl.Exchange
		e.Begin([]byte(c.mechanism + " " + b64(c.message)))
		if e.Mechanism() != c.mechanism || e.User() != c.user {
			t.Errorf("%s %q: %q logs in by %q, want %q", c.mechanism, c.message, e.User(), e.Mechanism(), c.user)
		}
		e.Begin([]byte(c.mechanism))
		if e.User() != "" {
			t.Errorf("%s: %q of the exchange before is left", c.mechanism, e.User())
		}
		e.Line([]byte(b64(c.message)))
		if e.Mechanism() != c.mechanism || e.User() != c.user {
			t.Errorf("%s, then %q: %q logs in by %q, want %q", c.mechanism, c.message, e.User(), e.Mechanism(), c.user)
		}
		e.Line([]byte(b64("mallory")))
		if e.User() != c.user {
			t.Errorf("%s: a later line changes the name to %q", c.mechanism, e.User())
		}
		e.Line([]byte("*"))
		if e.User() != "" {
			t.Errorf("%s: %q is left of a cancelled exchange", c.mechanism, e.User())
		}
	}
}

func TestUserOfChallenge(t *testing.T) {
	const response = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw" // RFC 2195 section 2
	var e sasl.Exchange
	for line, want := range map[string]string{
		response:                       "tim",
		b64("a b " + digest):           "a b",
		b64(" " + digest):              "",
		b64(digest):                    "",
		b64("tim " + digest[1:]):       "",
		b64("tim " + digest[1:] + "g"): "",
		b64("tim " + digest + " "):     "",
		"":                             "",
	} {
		e.Begin([]byte("cram-md5"))
		e.Line([]byte(line))
		if e.Mechanism() != "CRAM-MD5" || e.User() != want {
			t.Errorf("%q: %q logs in by %q, want %q", line, e.User(), e.Mechanism(), want)
		}
	}
	e.Begin([]byte("CRAM-MD5 " + response))
	e.Line([]byte(response))
	if e.User() != "" {
		t.Errorf("%q logs in by an initial response, which has no place there", e.User())
	}
}

// What another reader might take otherwise shows no name, nor does a name that
// cannot be shown.
func TestNoUser(t *testing.T) {
	u := strings.Repeat("u", 257)
	for mechanism, messages := range map[string][]string{
		"PLAIN": {"", "tim", "\x00tim", "\x00\x00" + secret, "tim\x00\x00" + secret, "\x00tim\x00a\x00b", "\x00" + u + "\x00p",
			"\x00ti\rm\x00p", "\x00ti\nm\x00p", "\x00ti\x7fm\x00p", "\x00ti\xffm\x00p", "\x00ti\u0085m\x00p", "\x00ti\u202em\x00p", "\x00ti\u00a0m\x00p"},
		"LOGIN":    {"", u, "\x00tim\x00" + secret, "tim\r\nMAIL FROM:<>"},
		"EXTERNAL": {"", u, "tim\x00"},
		"SCRAM-SHA-256": {"", "n", "n,", "n,,", "n,,n=", "n,,n=tim", "n,,n=tim,", "n,,n=tim,x=r=", "n,,m=x,n=tim,r=x", "n,,n=t=im,r=x", "n,,n=t=2cim,r=x",
			"n,,n=tim=,r=x", "n,,n=tim=2,r=x", "n=tim,r=x", "n,tim,n=tim,r=x", "x,,n=tim,r=x", "F,n,,n=tim,r=x", "n,,N=tim,r=x", "n,,r=x,n=tim", "n,,n=" + u + ",r=x"},
		"XOAUTH2": {"", "user=tim", "user=tim\x01", "user=tim\x01auth=Bearer x", "user=tim\x01auth=Bearer x\x01", "user=\x01auth=Bearer x\x01\x01",
			"auth=Bearer x\x01user=tim\x01\x01", "user=tim\x01user=boss\x01auth=Bearer x\x01\x01", "user=tim\x01auth=Bearer x\x01user=boss\x01\x01", "USER=tim\x01auth=Bearer x\x01\x01"},
		"OAUTHBEARER": {"", "n,,\x01auth=Bearer x\x01\x01", "n,a=tim,", "n,a=tim,auth=Bearer x\x01\x01", "n,a=,\x01auth=Bearer x\x01\x01", "n,a=t=im,\x01auth=Bearer x\x01\x01",
			"a=tim,\x01auth=Bearer x\x01\x01", "n,tim,\x01auth=Bearer x\x01\x01"},
		"ANONYMOUS": {"tim"}, "NTLM": {"tim"}, "GSSAPI": {"tim"}, "DIGEST-MD5": {`username="tim"`}, "X-NEW_1": {"tim"},
	} {
		for _, message := range messages {
			var e sasl.Exchange
			e.Begin([]byte(mechanism))
			e.Line([]byte(b64(message)))
			if e.Mechanism() != mechanism || e.User() != "" {
				t.Errorf("%s %.80q: %q logs in by %q", mechanism, message, e.User(), e.Mechanism())
			}
		}
	}
}

// A name is taken only from base64 that has one reading.
func TestBase64(t *testing.T) {
	for _, line := range []string{"dGlt\r\n", "dG\nlt", "dGlt=", "dGltbQ", "dGltbQ=", "dGltbR==", "dG lt", " dGlt", "dGlt*", "**", "=", "dGltbQ==dGlt",
		b64(strings.Repeat("t", 12288/4*3) + "t")} {
		var e sasl.Exchange
		e.Begin([]byte("LOGIN"))
		e.Line([]byte(line))
		if e.User() != "" {
			t.Errorf("%.40q: %q logs in", line, e.User())
		}
		e.Line([]byte(b64(secret)))
		if e.User() != "" {
			t.Errorf("after %.40q the password shows", line)
		}
	}
}

func TestMechanism(t *testing.T) {
	for args, want := range map[string]string{
		"":                       "",
		" ":                      "",
		"plain":                  "PLAIN",
		"Scram-Sha-256":          "SCRAM-SHA-256",
		"X_1-abcdefghijklmnop":   "X_1-ABCDEFGHIJKLMNOP",
		"X_1-abcdefghijklmnopq":  "",
		"PLAIN\x00":              "",
		"PLÄIN":                  "",
		"PLAIN=":                 "",
		"A+B":                    "",
		" PLAIN  dGlt ":          "PLAIN",
		"NTLM\tdGlt":             "NTLM",
		"AGFsaWNlAHNlY3JldA== x": "",
	} {
		var e sasl.Exchange
		e.Begin([]byte(args))
		if e.Mechanism() != want {
			t.Errorf("%q is mechanism %q, want %q", args, e.Mechanism(), want)
		}
	}
}

// The initial response is what stands behind any white space; "=" is an empty
// one, after which comes no second first message.
func TestInitialResponse(t *testing.T) {
	for args, want := range map[string]string{
		"LOGIN dGlt":        "tim",
		"LOGIN  \t dGlt ":   "tim",
		"LOGIN\tdGlt":       "tim",
		"LOGIN =":           "",
		"LOGIN dGlt dGlt":   "",
		"EXTERNAL =":        "",
		"NOTHING dGlt":      "",
		"L\xd6GIN dGlt":     "",
		"LOGIN" + "\x00tim": "",
	} {
		var e sasl.Exchange
		e.Begin([]byte(args))
		e.Line([]byte(b64(secret)))
		if e.User() != want {
			t.Errorf("%q: %q logs in, want %q", args, e.User(), want)
		}
	}
}

func TestZero(t *testing.T) {
	var e sasl.Exchange
	e.Line([]byte("dGlt"))
	e.Line([]byte("*"))
	if e.Mechanism() != "" || e.User() != "" {
		t.Errorf("a line outside of an exchange: %q logs in by %q", e.User(), e.Mechanism())
	}
}

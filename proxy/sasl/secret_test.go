package sasl_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/sasl"
)

// holds reports whether any part of v has the text in it, and fails for parts
// that it cannot look into.
func holds(t *testing.T, v reflect.Value, text string) bool {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if holds(t, v.Field(i), text) {
				return true
			}
		}
	case reflect.String:
		return strings.Contains(strings.ToUpper(v.String()), strings.ToUpper(text))
	case reflect.Bool, reflect.Int, reflect.Uint8:
	case reflect.Func:
		// A finder is a plain function, unless it was made to remember.
	default:
		t.Fatalf("an exchange has a %s: where could a password be in it?", v.Type())
	}
	return false
}

// kept reports whether an exchange still has a text after these lines, as it
// stands there or as it was sent.
func kept(t *testing.T, text string, args string, lines ...string) bool {
	t.Helper()
	var e sasl.Exchange
	e.Begin([]byte(args))
	for _, line := range lines {
		e.Line([]byte(line))
	}
	v := reflect.ValueOf(e)
	return holds(t, v, text) || holds(t, v, strings.TrimRight(b64(text), "="))
}

func TestSecretsAreNotKept(t *testing.T) {
	const password = "wonderland-12"
	if !kept(t, "alice", "PLAIN", b64("\x00alice\x00"+password)) {
		t.Fatal("the test does not see the name")
	}
	for name, c := range map[string][]string{
		"plain":           {"PLAIN " + b64("\x00alice\x00"+password)},
		"plain, message":  {"PLAIN", b64("\x00alice\x00" + password)},
		"plain, bad":      {"PLAIN", b64("alice\x00" + password)},
		"plain, twice":    {"PLAIN", b64("\x00alice\x00" + password), b64("\x00alice\x00" + password)},
		"plain, too late": {"PLAIN =", b64("\x00alice\x00" + password)},
		"login":           {"LOGIN", b64("alice"), b64(password)},
		"login, initial":  {"LOGIN " + b64("alice"), b64(password)},
		"login, no name":  {"LOGIN =", b64(password)},
		"login, empty":    {"LOGIN", "", b64(password)},
		"login, bad name": {"LOGIN", "alice", b64(password)},
		"login, cancel":   {"LOGIN", "*", b64(password)},
		"xoauth2":         {"XOAUTH2 " + b64("user=alice\x01auth=Bearer "+password+"\x01\x01")},
		"oauthbearer":     {"OAUTHBEARER " + b64("n,a=alice,\x01auth=Bearer "+password+"\x01\x01")},
		"unknown":         {"X-SECRET " + b64(password), b64(password)},
		"none":            {"", b64(password)},
		"forgotten verb":  {b64("\x00alice\x00" + password), b64(password)},
	} {
		if kept(t, password, c[0], c[1:]...) {
			t.Errorf("%s: the password is kept", name)
		}
	}
	for _, line := range []string{b64("alice " + digest), b64("alice" + digest)} {
		if kept(t, digest, "CRAM-MD5", line) {
			t.Errorf("%s: the digest is kept", line)
		}
	}
}

// The memory that a message was decoded in is wiped.
func TestMessagesAreWiped(t *testing.T) {
	var seen []byte
	name := sasl.Read([]byte(b64("\x00tim\x00"+secret)), func(message []byte) []byte {
		seen = message
		return message[1:4]
	})
	if name != "tim" || len(seen) != 5+len(secret) || strings.Trim(string(seen), "\x00") != "" {
		t.Errorf("%q is left of a message by %q", seen, name)
	}
}

// A mechanism that shows no name costs nothing.
func TestNoAllocation(t *testing.T) {
	var e sasl.Exchange
	args, line := []byte("ntlm TlRMTVNTUAABAAAA"), []byte("TlRMTVNTUAADAAAA")
	if n := testing.AllocsPerRun(100, func() { e.Begin(args); e.Line(line); e.Line(line) }); n != 0 || e.Mechanism() != "NTLM" {
		t.Errorf("%v allocations by %s", n, e.Mechanism())
	}
}

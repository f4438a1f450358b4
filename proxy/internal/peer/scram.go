package peer

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// AuthSCRAM logs in with SCRAM-SHA-256 (RFC 7677) and returns the last reply: 235
// when the server has let the user in and has proved that it knows the password.
// The user's name must have neither comma nor equals sign.
func (c *Client) AuthSCRAM(user, password string) string {
	c.t.Helper()
	const nonce = "rOprNGfwEbeRWgbNEkqO"
	bare := "n=" + user + ",r=" + nonce
	challenge := c.answer("AUTH SCRAM-SHA-256 " + encode("n,,"+bare))
	if !strings.HasPrefix(challenge, "334 ") {
		return challenge
	}
	first := decode(challenge)
	values := scramValues(first)
	rounds, err := strconv.Atoi(values["i"])
	salt, err2 := base64.StdEncoding.DecodeString(values["s"])
	if err != nil || err2 != nil || !strings.HasPrefix(values["r"], nonce) {
		c.t.Fatalf("no challenge of SCRAM: %q", first)
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		c.t.Fatal(err)
	}
	final := "c=biws,r=" + values["r"]
	signed := bare + "," + first + "," + final
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	proof := mac(stored[:], signed)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	reply := c.answer(encode(final + ",p=" + base64.StdEncoding.EncodeToString(proof)))
	if !strings.HasPrefix(reply, "334 ") {
		return reply
	}
	want := base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), signed))
	if got := scramValues(decode(reply))["v"]; got != want {
		c.t.Fatalf("the server does not know the password: %q, want %q", got, want)
	}
	return c.answer("")
}

// answer sends a line and returns the reply, whichever.
func (c *Client) answer(line string) string {
	c.t.Helper()
	c.Write(line + "\r\n")
	reply, err := c.Reply()
	if err != nil {
		c.t.Fatalf("got %q, %v", reply, err)
	}
	return reply
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// decode returns what a challenge says, "" for none.
func decode(reply string) string {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(reply[len("334 "):]))
	if err != nil {
		return ""
	}
	return string(text)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprint(h, text)
	return h.Sum(nil)
}

// scramValues separates "r=...,s=...,i=...".
func scramValues(text string) map[string]string {
	values := map[string]string{}
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		values[name] = value
	}
	return values
}

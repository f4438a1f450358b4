package proxy_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

var plainCommands = []string{"MAIL FROM:<from@test.example>", "RCPT TO:<to@test.example>", "DATA"}

// bigText is what a message of these tests consists of, but for its header.
var bigText = strings.Repeat("0123456789\r\n", 200)

// converse holds a session: greeting, EHLO, commands; DATA sends a message
// too. After a refusal it goes on with what still makes sense.
func converse(t *testing.T, addr, source, helo string, commands []string) *talk {
	t.Helper()
	k := &talk{t: t, client: peer.DialFrom(t, source, addr)}
	if helo == "" {
		helo = "client.test.example"
	}
	if k.hear(); !k.closed {
		k.say("EHLO " + helo)
	}
	begun, taken := false, false // a transaction, and some recipient of it
	for _, command := range commands {
		verb, _, _ := strings.Cut(command, " ")
		if k.closed || verb == "RCPT" && !begun || verb == "DATA" && !taken {
			continue
		}
		ok := k.say(command) < "4"
		switch verb {
		case "MAIL":
			begun, taken = ok, false
		case "RCPT":
			taken = taken || ok
		case "DATA":
			if ok {
				k.client.Write("Subject: a test\r\n\r\n" + bigText + ".\r\n")
				k.hear()
			}
		}
	}
	if !k.closed {
		k.client.Quit()
	}
	return k
}

// A talk is a dialogue that takes any reply.
type talk struct {
	t       *testing.T
	client  *peer.Client
	codes   string // of the replies, then "closed" if the server closed the connection
	refusal string // the last
	closed  bool   // by the server
}

func (k *talk) say(command string) string {
	k.t.Helper()
	k.client.Write(command + "\r\n")
	return k.hear()
}

func (k *talk) hear() string {
	k.t.Helper()
	reply := k.reply()
	if reply >= "4" {
		k.refusal = reply
	}
	if strings.HasPrefix(reply, "421") || strings.HasPrefix(reply, "521") {
		if more := k.reply(); more != "" {
			k.t.Errorf("after %q the server says %q", reply, more)
		}
	}
	return reply
}

func (k *talk) reply() string {
	k.t.Helper()
	reply, err := k.client.Reply()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		k.closed = true
		k.codes += " closed"
		return ""
	}
	if err != nil {
		k.t.Fatalf("got %q, %v", reply, err)
	}
	k.codes = strings.TrimLeft(k.codes+" "+reply[:3], " ")
	return reply
}

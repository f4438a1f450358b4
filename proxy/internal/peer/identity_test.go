package peer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

var oneMessage = []string{"--from", "a@test.example", "--to", "b@test.example"}

// Postfix takes on trust who its client says that it speaks for, on the services
// that are for that, and nowhere else.
func TestIdentities(t *testing.T) {
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, Services: []map[string]string{
		peer.TakesXCLIENT(), peer.TakesPROXY(),
	}})
	xclient, proxy := postfix.Services[0], postfix.Services[1]
	for _, test := range []struct {
		name, addr   string
		exit         int
		args         []string
		client, helo string // in Postfix's log and in the Received field
	}{
		{"nothing", postfix.Addr, 0, nil, "unknown[127.0.0.1]", "client.test.example"},
		{"XCLIENT refused", postfix.Addr, 33, []string{"--xclient-addr", "192.0.2.7"}, "", ""},
		{"XCLIENT", xclient, 0, []string{"--xclient-addr", "192.0.2.7", "--xclient-name", "spike.example", "--xclient-helo", "liar.example"},
			"spike.example[192.0.2.7]", "client.test.example"},
		{"XCLIENT, IPv6", xclient, 0, []string{"--xclient-addr", "IPV6:2001:db8::7"}, "unknown[2001:db8::7]", "client.test.example"},
		{"PROXY missing", proxy, 21, nil, "", ""},
		{"PROXY v1", proxy, 0, []string{"--proxy-version", "1", "--proxy", "TCP4 192.0.2.7 198.51.100.1 4711 25"},
			"unknown[192.0.2.7]", "client.test.example"},
		{"PROXY v1, IPv6", proxy, 0, []string{"--proxy-version", "1", "--proxy", "TCP6 2001:db8::7 2001:db8::1 4711 25"},
			"unknown[2001:db8::7]", "client.test.example"},
		{"PROXY v2", proxy, 0, []string{"--proxy-version", "2", "--proxy-family", "AF_INET", "--proxy-protocol", "STREAM",
			"--proxy-command", "PROXY", "--proxy-source", "192.0.2.8", "--proxy-source-port", "4711",
			"--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25"}, "unknown[192.0.2.8]", "client.test.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(sink.Messages())
			out, exit := peer.Swaks(t, test.addr, append(oneMessage, test.args...)...)
			if exit != test.exit {
				t.Fatalf("swaks: status %d, want %d\n%s", exit, test.exit, out)
			}
			if exit != 0 {
				return
			}
			received := sink.Wait(t, before+1, time.Minute)[before].Received()
			name, address, _ := strings.Cut(strings.TrimSuffix(test.client, "]"), "[")
			if strings.Contains(address, ":") {
				address = "IPv6:" + address
			}
			if want := "from " + test.helo + " (" + name + " [" + address + "]) by mx.test.example "; !strings.HasPrefix(received, want) {
				t.Errorf("Received: %s; want %s", received, want)
			}
			peer.Logged(t, postfix, `client=`+strings.NewReplacer("[", `\[`, "]", `\]`).Replace(test.client)+`$`)
		})
	}
}

// With XFORWARD Postfix logs the client that it is told of, and stands by the one
// it has.
func TestXFORWARD(t *testing.T) {
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, Services: []map[string]string{peer.TakesXFORWARD()}})
	c := peer.Dial(t, postfix.Addr)
	if hello := c.Hello(); strings.Contains(hello, "XFORWARD") {
		t.Errorf("XFORWARD is offered to everybody:\n%s", hello)
	}
	c.Do("550", "XFORWARD ADDR=192.0.2.7")
	c.Quit()
	c = peer.Dial(t, postfix.Services[0])
	if hello := c.Hello(); !strings.Contains(hello, "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT") {
		t.Errorf("XFORWARD is not offered:\n%s", hello)
	}
	c.Do("250", "XFORWARD NAME=spike.example ADDR=192.0.2.7 PORT=4711 HELO=spike PROTO=ESMTP SOURCE=REMOTE IDENT=q1")
	c.Do("250", "MAIL FROM:<a@test.example>")
	c.Do("250", "RCPT TO:<b@test.example>")
	c.Do("354", "DATA")
	c.Write("Subject: a test\r\n\r\nbody\r\n.\r\n")
	c.Expect("250")
	c.Quit()
	received := sink.Wait(t, 1, time.Minute)[0].Received()
	if !strings.HasPrefix(received, "from client.test.example (unknown [127.0.0.1]) ") {
		t.Errorf("Received: %s", received)
	}
	peer.Logged(t, postfix, `client=unknown\[127\.0\.0\.1\], orig_queue_id=q1, orig_client=spike\.example\[192\.0\.2\.7\]$`)
}

// A Postfix in a network of its own sees its client's address, in either family.
func TestPostfixInNetwork(t *testing.T) {
	n := peer.NewNetwork(t)
	sink := n.Upstream.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{
		Relayhost: sink.Addr, Netns: n.Upstream, Services: []map[string]string{{"myhostname": "mx2.test.example"}},
	})
	for name, addr := range map[string]string{
		"unknown[203.0.113.2]":   postfix.Addr,
		"unknown[2001:db8:1::2]": postfix.Addr6,
	} {
		out, exit := n.Client.Swaks(t, addr, oneMessage...)
		if exit != 0 {
			t.Fatalf("swaks: status %d\n%s", exit, out)
		}
		peer.Logged(t, postfix, `client=`+strings.NewReplacer("[", `\[`, "]", `\]`).Replace(name)+`$`)
	}
	c := n.Client.DialFrom(t, "203.0.113.2", postfix.Services[0])
	c.Expect("220 mx2.test.example ")
	c.Quit()
	received := sink.Wait(t, 2, time.Minute)[0].Received()
	if !strings.Contains(received, "by mx.test.example ") {
		t.Errorf("Received: %s", received)
	}
}

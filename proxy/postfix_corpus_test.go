package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// corpus are messages that relays have been seen to damage.
var corpus = map[string]string{
	"plain":               "Subject: plain\r\n\r\nbody\r\n",
	"leading dots":        "Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.a\r\n. \r\n\r\n.\r\n",
	"long lines":          "Subject: long\r\n\r\n" + longLine + "\r\n." + longLine + "\r\n",
	"long header field":   "Subject: long\r\nX-Long: " + longLine + "\r\n\r\nbody\r\n",
	"8 bit":               "Subject: \xfcml\xe4ut\r\n\r\n\xff\xfe\x80\xc0\xa0\r\n",
	"blanks":              "Subject:  two spaces \r\n\t folded\r\n\r\n \r\ntrailing \t\r\n\r\n\r\n",
	"empty":               "",
	"empty body":          "Subject: empty\r\n\r\n",
	"header only":         "Subject: nothing below\r\n",
	"body only":           "\r\nbody\r\n",
	"commands as text":    "Subject: x\r\n\r\nQUIT\r\nRSET\r\nMAIL FROM:<x@test.example>\r\n",
	"window of CRLF":      "Subject: x\r\n\r\n" + strings.Repeat("\r\n", 40_000),
	"window of dots":      "Subject: x\r\n\r\n" + strings.Repeat(".\r\n", 30_000),
	"a message as a text": "Subject: x\r\n\r\nReceived: from a by b\r\n\twith c\r\nSubject: y\r\n\r\n.\r\n",
}

var longLine = strings.Repeat("0123456789", 10_000)

// What arrives is what was sent, by DATA and by BDAT, octet by octet.
func testCorpus(t *testing.T, binary peer.Mailweir) {
	for chainName, chain := range chains {
		r := newRoute(t, binary, "{}", chain)
		for name, text := range corpus {
			for way, send := range ways {
				if text == "" && way == "pipelined bdat" {
					continue // Postfix takes an empty chunk only as the last
				}
				t.Run(chainName+"/"+name+"/"+way, func(t *testing.T) {
					c := peer.Dial(t, r.relay.Addr)
					c.Hello()
					before := len(r.sink.Messages())
					envelope(c)
					send(c, text)
					c.Quit()
					m := r.sink.Wait(t, before+1, time.Minute)[before]
					peer.SameText(t, string(m.BelowReceived()), text)
				})
			}
		}
	}
}

// ways are how a message can be sent.
var ways = map[string]func(*peer.Client, string){
	"data": func(c *peer.Client, text string) {
		c.Do("354", "DATA")
		c.Write(peer.Stuff(text) + ".\r\n")
		c.Expect("250")
	},
	"data in pieces": func(c *peer.Client, text string) {
		c.Do("354", "DATA")
		wire := peer.Stuff(text) + ".\r\n"
		for len(wire) > 0 {
			n := min(len(wire), 997)
			c.Write(wire[:n])
			wire = wire[n:]
		}
		c.Expect("250")
	},
	"bdat": func(c *peer.Client, text string) {
		c.Write(fmt.Sprintf("BDAT %d LAST\r\n", len(text)), text)
		c.Expect("250")
	},
	"bdat in chunks": func(c *peer.Client, text string) {
		for len(text) > 0 {
			n := min(len(text), 40_001)
			c.Write(fmt.Sprintf("BDAT %d\r\n%s", n, text[:n]))
			c.Expect("250")
			text = text[n:]
		}
		c.Do("250", "BDAT 0 LAST")
	},
	"pipelined bdat": func(c *peer.Client, text string) {
		half := len(text) / 2
		c.Write(fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", half, text[:half], len(text)-half, text[half:]))
		c.Expect("250")
		c.Expect("250")
	},
}

func envelope(c *peer.Client) {
	c.Do("250", "MAIL FROM:<from@test.example> BODY=8BITMIME")
	c.Do("250", "RCPT TO:<to@test.example>")
}

// A message of 30 MB arrives whole, and does not stay in memory on its way.
func testMemory(t *testing.T, binary peer.Mailweir) {
	const growth = 16 << 20
	line := strings.Repeat("x", 98) + "\r\n"
	text := "Subject: big\r\n\r\n" + strings.Repeat(line, 300_000)
	for _, way := range []string{"data", "bdat"} {
		t.Run(way, func(t *testing.T) {
			r := newRoute(t, binary, "{}", allKinds)
			c := peer.Dial(t, r.relay.Addr)
			c.Hello()
			envelope(c)
			before := peak(t, r.relay)
			ways[way](c, text)
			if grown := peak(t, r.relay) - before; grown > growth {
				t.Errorf("the most resident memory grew by %d octets, want at most %d", grown, growth)
			}
			c.Quit()
			peer.SameText(t, string(r.sink.Wait(t, 1, time.Minute)[0].BelowReceived()), text)
		})
	}
}

func peak(t *testing.T, r *peer.Relay) int64 {
	t.Helper()
	octets, err := r.PeakRSS()
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

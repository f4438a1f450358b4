package relay_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/relay"
)

// A client of TLS that waits for its replies is never taken for one that does
// not, whatever TLS sends on its own; with implicit TLS too.
func TestTLSClientsThatWait(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, atOnce := range []bool{false, true} {
			w := &watcher{verdict: hangup}
			r, trust := newTLSRig(t, func(o *relay.Options) {
				watched(t, o, filters.Rcpt, w)
				o.TLS.Implicit = atOnce
			})
			trust.MaxVersion = version
			trust.ClientSessionCache = tls.NewLRUClientSessionCache(10)
			resumed := 0
			for range 20 {
				var c *client
				if atOnce {
					c = r.dial().shake(trust)
					c.say("", "220")
				} else {
					c = r.greeted().startTLS(trust)
				}
				if c.Conn.(*tls.Conn).ConnectionState().DidResume {
					resumed++
				}
				c.say("EHLO c\r\n", "250")
				c.say(envelope+"DATA\r\n", "250", "250", "354")
				c.say(letter+".\r\n", "250")
				c.say("NOOP\r\n", "250")
				c.say("EHLO c\r\n", "250")
				c.say("QUIT\r\n", "221")
				c.Close()
			}
			w.want(t)
			if resumed == 0 {
				t.Error("no session was resumed: the test shows less than it says")
			}
		}
	}
}

// One that does not wait is found out: behind the command, and while its reply
// is under way.
func TestTLSClientsThatDoNotWait(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, stage := range []filters.Stage{filters.Helo, filters.Data} {
			asked, goOn := make(chan struct{}), make(chan struct{})
			times := 0
			w := &watcher{verdict: hangup, during: func(s filters.Stage) {
				if s == stage {
					if times++; times == 2 || stage == filters.Data {
						close(asked)
						<-goOn
					}
				}
			}}
			r, trust := newTLSRig(t, func(o *relay.Options) { watched(t, o, filters.Rcpt, w) })
			trust.MaxVersion = version
			c := r.greeted().startTLS(trust)
			if stage == filters.Helo {
				c.say("EHLO c\r\n")
			} else {
				c.say("EHLO c\r\n", "250")
				c.say(envelope, "250", "250")
				c.say("DATA\r\n")
			}
			<-asked
			c.say("NOOP ahead\r\n")
			close(goOn)
			c.say("", "521")
			w.want(t, `pipelining "NOOP ahead\r\n"`)

			w = &watcher{verdict: hangup}
			r, trust = newTLSRig(t, func(o *relay.Options) { watched(t, o, filters.Rcpt, w) })
			trust.MaxVersion = version
			r.greeted().startTLS(trust).say("EHLO c\r\nNOOP ahead\r\n", "521")
			w.want(t, `pipelining "NOOP ahead\r\n"`)
		}
	}
}

// It is found out, too, where the reply takes longer than clients have for their
// commands.
func TestTLSClientThatDoesNotWaitLong(t *testing.T) {
	const patience = 2 * time.Second
	asked, goOn := make(chan struct{}), make(chan struct{})
	w := &watcher{verdict: hangup, during: func(s filters.Stage) {
		if s == filters.Data {
			close(asked)
			<-goOn
		}
	}}
	r, trust := newTLSRig(t, func(o *relay.Options) {
		watched(t, o, filters.Rcpt, w)
		o.Timeouts.Command = patience
	})
	c := r.greeted().startTLS(trust)
	c.say("EHLO c\r\n", "250")
	c.say(envelope, "250", "250")
	c.say("DATA\r\n")
	<-asked
	c.say("NOOP ahead\r\n")
	time.AfterFunc(patience+100*time.Millisecond, func() { close(goOn) })
	c.say("", "521")
	w.want(t, `pipelining "NOOP ahead\r\n"`)
}

// A record that has arrived in part is nothing that the client has said, and is
// not lost.
func TestTLSRecordInPart(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	w := &watcher{verdict: hangup, during: func(s filters.Stage) {
		if s == filters.Data {
			close(asked)
			<-goOn
		}
	}}
	r, trust := newTLSRig(t, func(o *relay.Options) { watched(t, o, filters.Rcpt, w) })
	c := r.greeted()
	c.say("STARTTLS\r\n", "220")
	held := &keeper{Conn: c.Conn}
	conn := tls.Client(held, trust)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	c = &client{t, conn, bufio.NewReader(conn)}
	c.say("EHLO c\r\n", "250")
	c.say(envelope, "250", "250")
	c.say("DATA\r\n")
	<-asked
	held.keep = true
	c.say(letter + ".\r\n")
	if _, err := held.Conn.Write(held.kept[:7]); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	c.say("", "354")
	held.Conn.Write(held.kept[7:])
	held.keep = false
	c.say("", "250")
	c.say("QUIT\r\n", "221")
	w.want(t)
}

// New keys may be asked for at any time (RFC 8446 section 4.6.3), even when
// nothing was written for longer than a write may take.
func TestKeyUpdate(t *testing.T) {
	peer.Need(t, "openssl", "openssl")
	r, _ := newTLSRig(t, func(o *relay.Options) { o.Timeouts.Write = 100 * time.Millisecond })
	cmd := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", r.addr, "-starttls", "smtp", "-tls1_3", "-crlf")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = cmd.Stdout // where it tells of new keys
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	replies := bufio.NewScanner(out)
	await := func(text string) {
		for replies.Scan() {
			if strings.Contains(replies.Text(), text) {
				return
			}
		}
		t.Fatalf("openssl does not say %q", text)
	}
	await("250 ")
	fmt.Fprintf(in, "EHLO d\n")
	await("250 8BITMIME")
	for range 3 {
		time.Sleep(300 * time.Millisecond) // longer than a write may take
		io.WriteString(in, "K\n")
		await("KEYUPDATE")
		io.WriteString(in, "NOOP\n")
		await("250 Ok")
	}
}

// keeper keeps what is written until it is to be let go.
type keeper struct {
	net.Conn
	keep bool
	kept []byte
}

func (h *keeper) Write(b []byte) (int, error) {
	if !h.keep {
		return h.Conn.Write(b)
	}
	h.kept = append(h.kept, b...)
	return len(b), nil
}

// pregreet hears clients of implicit TLS too, and does no harm to those that
// wait.
func TestPregreetInTLS(t *testing.T) {
	r, trust := newTLSRig(t, func(o *relay.Options) {
		implicit(o)
		pregreeting(t, o, new(recollection), "{wait: 50ms, exempt: []}")
	})
	for range 2 { // the second time it is known
		c := r.dial().shake(trust)
		c.say("", "220")
		c.say("EHLO c\r\n", "250")
		c.say(envelope+"DATA\r\n", "250", "250", "354")
		c.say(letter+".\r\n", "250")
		c.say("QUIT\r\n", "221")
		c.Close()
	}
	r, trust = newTLSRig(t, func(o *relay.Options) {
		implicit(o)
		pregreeting(t, o, nil, "{wait: 1h, exempt: []}")
	})
	c := r.dial().shake(trust)
	c.say("EHLO c\r\n"+envelope, "220", "250", "250", "550")
}

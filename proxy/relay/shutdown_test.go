package relay_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

// shutdown begins to end the relay. The channel gets Shutdown's error.
func (r *rig) shutdown(patience time.Duration) <-chan error {
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- r.relay.Shutdown(ctx)
	}()
	return ended
}

// Idle sessions end at once, wherever they stand.
func TestShutdownIdle(t *testing.T) {
	r := newRig(t, nil)
	fresh, greeted, half := r.dial(), r.dial(), r.dial()
	fresh.say("", "220")
	greeted.say("", "220")
	greeted.say(hello, "250")
	half.say("", "220")
	half.say("EHLO cli")
	ended := r.shutdown(time.Minute)
	for _, c := range []*client{fresh, greeted, half} {
		c.say("", "421 4.3.2 weir.example Service is shutting down")
		c.wantEnd()
		c.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", r.addr); err == nil {
		t.Error("it still listens")
	}
}

// A transaction under way goes to its end, whether it is the client's turn or
// the upstream's.
func TestShutdownLetsMessagesEnd(t *testing.T) {
	r := newRig(t, nil)
	r.up.hold = make(chan struct{})
	text, dot, envelopes := r.dial(), r.dial(), r.dial()
	for _, c := range []*client{text, dot, envelopes} {
		c.say("", "220")
		c.say(hello, "250")
		c.say(envelope, "250", "250")
	}
	text.say("DATA\r\n", "354")
	text.say(letter)
	dot.say("DATA\r\n", "354")
	dot.say(letter + ".\r\n")
	r.up.said("end of data")
	idle := r.dial()
	idle.say("", "220")
	ended := r.shutdown(time.Minute)
	idle.say("", "421") // it has begun
	idle.Close()
	close(r.up.hold)
	dot.say("", "250", "421")
	dot.wantEnd()
	text.say("the rest\r\n.\r\n", "250", "421")
	text.wantEnd()
	envelopes.say("DATA\r\n", "354")
	envelopes.say(letter+".\r\n", "250", "421")
	envelopes.wantEnd()
	for _, c := range []*client{text, dot, envelopes} {
		c.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := len(r.up.messages); n != 3 {
		t.Errorf("%d messages have arrived", n)
	}
}

// What does not end by itself is cut off, with an answer that lets the client
// try again.
func TestShutdownCuts(t *testing.T) {
	r := newRig(t, nil)
	r.up.hold = make(chan struct{})
	text, dot, deaf := r.dial(), r.dial(), r.dial()
	for _, c := range []*client{text, dot, deaf} {
		c.say("", "220")
		c.say(hello, "250")
		c.say(envelope, "250", "250")
	}
	text.say("DATA\r\n", "354")
	text.say(letter)
	dot.say("DATA\r\n", "354")
	dot.say(letter + ".\r\n")
	r.up.said("end of data")
	deaf.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	for {
		if _, err := io.WriteString(deaf, strings.Repeat("HELP\r\n", 10000)); err != nil {
			break // nobody reads any more
		}
	}
	began := time.Now()
	ended := r.shutdown(50 * time.Millisecond)
	text.say("", "421")
	text.wantEnd()
	dot.say("", "451", "421")
	dot.wantEnd()
	text.Close()
	dot.Close()
	if err := <-ended; err != context.DeadlineExceeded {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	close(r.up.hold)
}

// Who connects while the relay ends is told so.
func TestConnectWhileDraining(t *testing.T) {
	r, err := relay.New(settings(t, quiet))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(l); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it listens")
	}
}

// A client that does not take its replies is given up after a while.
func TestWriteDeadline(t *testing.T) {
	r := newRig(t, func(o *relay.Options) { o.Timeouts.Write = 100 * time.Millisecond })
	c := r.dial()
	c.say("", "220")
	c.say(hello, "250")
	flood := []byte(strings.Repeat("HELP\r\n", 10000))
	for {
		if _, err := c.Write(flood); err != nil {
			break
		}
	}
	r.ended(0)
}

// The last words reach a client that has more to say: the connection is not
// reset under them.
func TestLastWordsArrive(t *testing.T) {
	for range 20 {
		r := newRig(t, func(o *relay.Options) { o.MaxErrors = 1 })
		c := r.dial()
		c.say("", "220")
		go c.Write([]byte(strings.Repeat("BLAH\r\n", 50000)))
		c.say("", "500", "421")
		c.wantEnd()
		c.Close()
	}
}

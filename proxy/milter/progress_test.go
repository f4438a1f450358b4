package milter_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// tap is what an MTA's connection carried, packet by packet.
type tap struct{ net.Conn }

// read returns the code of the next packet.
func (c *tap) read() (byte, error) {
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	var head [5]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return 0, err
	}
	n := int(head[0])<<24 | int(head[1])<<16 | int(head[2])<<8 | int(head[3])
	rest := make([]byte, n-1)
	_, err := io.ReadFull(c.Conn, rest)
	return head[4], err
}

// A sign of life is given while a whole message is judged, and at no other
// stage: Sendmail would take it for the answer.
func TestProgress(t *testing.T) {
	slow := func(context.Context, *filters.Transaction) filters.Verdict {
		time.Sleep(60 * time.Millisecond)
		return filters.Verdict{}
	}
	f := &stub{at: map[filters.Stage]func(context.Context, *filters.Transaction) filters.Verdict{}}
	for _, s := range dialogue {
		if s != filters.Body {
			f.at[s] = slow
		}
	}
	quick := patient
	quick.Progress = 10 * time.Millisecond
	d := open(t, f, timeouts(quick))
	c := &tap{Conn: d.dial()}
	for _, p := range [][]byte{
		negotiation,
		frame('C', "client\x004\x10\x00192.0.2.1\x00"),
		frame('H', "helo\x00"),
		frame('M', "<a@x>\x00"),
		frame('R', "<b@y>\x00"),
		frame('T', ""),
		frame('N', ""),
	} {
		c.Write(p)
		if code, err := c.read(); code == 'p' || err != nil {
			t.Fatalf("%q is answered by %q, %v", p, code, err)
		}
	}
	c.Write(frame('E', ""))
	signs := 0
	for {
		code, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		if code != 'p' {
			if code != 'a' || signs == 0 {
				t.Errorf("%d signs of life, then %q", signs, code)
			}
			return
		}
		signs++
	}
}

// When the MTA has left, what a filter does for it ends.
func TestProgressLost(t *testing.T) {
	ended := make(chan error, 1)
	began := make(chan struct{})
	quick := patient
	quick.Progress = 5 * time.Millisecond
	d := open(t, when(filters.EOM, func(ctx context.Context, _ *filters.Transaction) filters.Verdict {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return filters.Verdict{}
	}), timeouts(quick))
	conn := d.dial()
	for _, p := range packets()[:len(packets())-2] {
		conn.Write(p)
	}
	<-began
	conn.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the filter goes on")
	}
}

// So does what is done for it at an earlier stage, without signs of life.
func TestHungUp(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	d := open(t, when(filters.Mail, func(ctx context.Context, _ *filters.Transaction) filters.Verdict {
		close(began)
		<-ctx.Done()
		close(ended)
		return filters.Verdict{}
	}))
	conn := d.dial()
	for _, p := range packets()[:6] {
		conn.Write(p)
	}
	<-began
	conn.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the filter goes on")
	}
}

// A filter may take longer than it takes to look after the MTA.
func TestSlowAnswer(t *testing.T) {
	d := open(t, when(filters.Mail, func(context.Context, *filters.Transaction) filters.Verdict {
		time.Sleep(1100 * time.Millisecond)
		return filters.Verdict{}
	}))
	m := d.ask()
	if w := m.play(filters.Connect, filters.EOM, hello); w != "eom accept" {
		t.Errorf("told %q", w)
	}
	m.Close()
}

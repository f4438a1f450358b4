package flood

import (
	"context"
	"fmt"
	"net"
	"time"
)

// A Sender is a client that means well: it sends one message after the other, and
// sends again what was not taken.
type Sender struct {
	Addr  string
	From  net.IP        // its own address
	Pause time.Duration // between messages

	Sent     []string      // ids of messages that were acknowledged
	Deferred int           // attempts that were not
	Slowest  time.Duration // from the first attempt of a message to its acknowledgement
}

// Run sends until done, and then what it has begun; least is the fewest messages.
// It fails if a message is not taken before ctx ends.
func (s *Sender) Run(ctx context.Context, least int, done <-chan struct{}) error {
	for n := 0; ; n++ {
		select {
		case <-done:
			if n >= least {
				return nil
			}
		case <-time.After(s.Pause):
		}
		id := fmt.Sprint("legit-", n)
		begin := time.Now()
		for {
			err := s.send(ctx, id)
			if err == nil {
				break
			}
			s.Deferred++
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not delivered: %w", id, err)
			case <-time.After(100 * time.Millisecond):
			}
		}
		s.Sent = append(s.Sent, id)
		s.Slowest = max(s.Slowest, time.Since(begin))
	}
}

func (s *Sender) send(ctx context.Context, id string) error {
	dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: s.From}}
	conn, err := dialer.DialContext(ctx, "tcp4", s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	t := talk{conn: conn}
	for _, line := range []string{"", "EHLO client.test.example\r\n", "MAIL FROM:<a@x.example>\r\n", "RCPT TO:<b@y.example>\r\n", "DATA\r\n",
		subject + id + "\r\n\r\nHello\r\n.\r\n"} {
		if _, err := t.say(line); err != nil {
			return err
		}
	}
	t.say("QUIT\r\n")
	return nil
}

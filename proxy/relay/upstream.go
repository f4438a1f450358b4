package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// upstream is one connection to the MTA behind us. It belongs to one session.
type upstream struct {
	relay   *terms
	conn    net.Conn
	unhook  func() bool // from the session's context
	peek    *peeker
	replies *smtp.ReplyReader
	out     []byte // commands not sent yet
	vec     [2][]byte
	offer   *offer // of its last reply to EHLO
	checked bool   // found ready, and nothing was sent since
}

// What can be wrong with an upstream.
var (
	errStray     = errors.New("octets that nobody asked for")
	errOutOfStep = errors.New("a reply that has no place here")
	errSlots     = errors.New("all connections are in use: see max_connections")
)

// dial opens a connection and reads its greeting.
// It is cut when ctx ends.
func (r *terms) dial(ctx context.Context) (*upstream, error) {
	wait, cancel := context.WithTimeout(ctx, r.Timeouts.Upstream.Connect)
	defer cancel()
	if !r.slots.take(wait) {
		return nil, errSlots
	}
	conn, err := r.relay.connect(wait, "tcp", r.Upstream)
	if err != nil {
		r.slots.release()
		return nil, err
	}
	u := &upstream{relay: r, conn: conn, peek: newPeeker(conn), replies: smtp.NewReplyReader(conn), offer: &nothing}
	u.unhook = context.AfterFunc(ctx, func() { conn.Close() })
	return u, nil
}

// greeting reads the 220.
func (u *upstream) greeting() error {
	g, err := u.reply(u.relay.Timeouts.Upstream.Greeting)
	if err != nil {
		return fmt.Errorf("no greeting: %w", err)
	}
	if g.Code != 220 {
		return fmt.Errorf("greeting %s", g.Reply())
	}
	return nil
}

// close ends the connection as it is: whatever was not ended by a dot is void.
func (u *upstream) close() {
	u.unhook()
	u.conn.Close()
	u.relay.slots.release()
}

// quitPatience bounds the farewell to an upstream when no client waits for it.
const quitPatience = 5 * time.Second

// quit ends the connection properly. Nothing may be under way on it.
func (u *upstream) quit() {
	u.out = append(u.out[:0], "QUIT\r\n"...)
	if u.flush(quitPatience) == nil {
		u.reply(quitPatience)
	}
	u.close()
}

// command queues a command.
func (u *upstream) command(verb string, args []byte) {
	u.out = append(u.out, verb...)
	if len(args) > 0 {
		u.out = append(u.out, ' ')
		u.out = append(u.out, args...)
	}
	u.out = append(u.out, '\r', '\n')
}

// ready looks whether the upstream waits for us, as it should between replies
// and commands. It fails with errStray, or when the connection is lost.
func (u *upstream) ready() error {
	if u.checked {
		return nil
	}
	if u.replies.Buffered() > 0 {
		return errStray
	}
	u.conn.SetReadDeadline(time.Time{}) // an old one may have passed
	something, closed := u.peek.look()
	switch {
	case something:
		return errStray
	case closed:
		return net.ErrClosed
	}
	u.checked = true
	return nil
}

// flush sends what is queued.
func (u *upstream) flush(patience time.Duration) error {
	if len(u.out) == 0 {
		return nil
	}
	err := u.write(u.out, patience)
	if u.out = u.out[:0]; cap(u.out) > keptBuffer {
		u.out = nil
	}
	return err
}

// keptBuffer is the greatest buffer that an idle session keeps, in octets.
const keptBuffer = 1 << 10

func (u *upstream) write(b []byte, patience time.Duration) error {
	u.checked = false
	u.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := u.conn.Write(b)
	return err
}

// writeBoth sends two slices in one system call: a command and the octets that
// belong to it must not wait for each other.
func (u *upstream) writeBoth(a, b []byte, patience time.Duration) error {
	u.checked = false
	u.conn.SetWriteDeadline(time.Now().Add(patience))
	u.vec = [2][]byte{a, b}
	both := net.Buffers(u.vec[:])
	_, err := both.WriteTo(u.conn)
	u.vec = [2][]byte{}
	return err
}

// reply waits for one reply.
func (u *upstream) reply(patience time.Duration) (smtp.ServerReply, error) {
	u.conn.SetReadDeadline(time.Now().Add(patience))
	return u.replies.ReadReply()
}

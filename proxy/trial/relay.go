package trial

import (
	"bytes"
	"context"
	"strings"

	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// ThroughRelay plays a session through a relay of these options, before an MTA
// that takes everything. It fails when the relay cannot be made.
func ThroughRelay(o relay.Options, s *Session) (*Account, error) {
	rec := new(recorder)
	o.Chain = rec.traced(o.Chain)
	w := newWire(s.Client, s.Local)
	end, err := serveOne(o, w.server())
	if err != nil {
		return nil, err
	}
	c := w.client()
	return play(&client{conn: c, replies: smtp.NewReplyReader(c), serverEnd: end}, s, rec), nil
}

// client talks to a relay over a connection.
type client struct {
	conn      *clientEnd
	replies   *smtp.ReplyReader
	serverEnd func()
}

func (c *client) say(verb, args string) Reply {
	if verb != "" {
		c.conn.Write([]byte(strings.TrimRight(verb+" "+args, " ") + "\r\n")) // a loss shows in the reply
	}
	return c.hear()
}

func (c *client) send(content []byte) Reply {
	smtp.Stuff(c.conn, bytes.NewReader(content)) // a loss shows in the reply
	return c.hear()
}

func (c *client) hear() Reply {
	r, err := c.replies.ReadReply()
	if err != nil {
		return Reply{}
	}
	return replyOf(r.Code, r.Wire)
}

func (c *client) end() {
	c.say("QUIT", "")
	c.conn.Close()
	c.serverEnd()
}

// replyOf cuts the wire form of a reply.
func replyOf(code int, wire []byte) Reply {
	return Reply{code, strings.Split(strings.TrimSuffix(string(wire), "\r\n"), "\r\n")}
}

// serveOne lets a relay of these options serve one connection, before an MTA
// that takes everything. end waits until it has.
func serveOne(o relay.Options, conn endConn) (end func(), err error) {
	mta, err := listenMTA()
	if err != nil {
		return nil, err
	}
	group := mta.group(o)
	o.Upstream, o.Limiter = group, relay.NewLimiter(0, 0)
	r, err := relay.New(o)
	if err != nil {
		group.Close()
		mta.close()
		return nil, err
	}
	one := newOneConn(conn)
	served := make(chan struct{})
	go func() {
		defer close(served)
		r.Serve(one)
	}()
	return func() {
		<-conn.ended()
		r.Shutdown(context.Background())
		<-served
		group.Close()
		mta.close()
	}, nil
}

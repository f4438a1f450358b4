package milter_test

import (
	"sync"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

// Events that come out of order are refused for now, and what the library
// would do by itself is not done. One connection may serve several clients.
func TestOutOfStep(t *testing.T) {
	var mu sync.Mutex
	var clients []string
	f := everything()
	f.seen = func(s *filters.Session) {
		mu.Lock()
		defer mu.Unlock()
		clients = append(clients, s.Client.String()+" "+s.ClientName)
	}
	d := open(t, f)
	c := &tap{Conn: d.dial()}
	for i, step := range []struct {
		packet []byte
		want   byte // 0: no answer
	}{
		{negotiation, 'O'},
		{frame('C', "somebody\x00U"), 'c'},
		{frame('R', "<b@y>\x00"), 'y'},
		{frame('T', ""), 'y'},
		{frame('E', ""), 'y'},
		{frame('M', "<a@x>\x00"), 'c'},
		{frame('E', ""), 'a'},
		{frame('E', ""), 'y'},
		{frame('M', "<a@x>\x00"), 'c'},
		{frame('M', "<a@x>\x00"), 'c'},
		{frame('K', ""), 0},
		{frame('D', "C{client_addr}\x00IPv6:2001:db8::1\x00{client_port}\x0077\x00{client_name}\x00[2001:db8::1]\x00"), 0},
		{frame('C', "x\x00L\x00\x00/run/x\x00"), 'c'},
		{frame('M', "<a@x>\x00"), 'c'},
	} {
		c.Write(step.packet)
		if step.want == 0 {
			continue
		}
		if code, err := c.read(); code != step.want || err != nil {
			t.Fatalf("step %d: %q is answered by %q, %v; want %q", i, step.packet, code, err, step.want)
		}
	}
	c.Write(frame('Q', ""))
	if err := gone(c); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { return len(d.records("aborted")) == 3 })
	mu.Lock()
	defer mu.Unlock()
	if len(clients) != 2 || clients[0] != "invalid AddrPort " || clients[1] != "[2001:db8::1]:77 " {
		t.Errorf("clients %q", clients)
	}
}

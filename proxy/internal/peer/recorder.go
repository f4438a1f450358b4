package peer

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// A Recorder is an SMTP server that accepts everything and keeps it, octet by
// octet.
type Recorder struct {
	Addr string

	mu       sync.Mutex
	messages []Message
	faults   []string
	arrived  chan struct{} // closed and replaced when a message arrives
}

// Sink starts a Recorder that ends with the test. A client that breaks the
// protocol fails the test.
func Sink(t testing.TB) *Recorder {
	t.Helper()
	return (*Netns)(nil).Sink(t)
}

// Sink is Sink in the namespace.
func (n *Netns) Sink(t testing.TB) *Recorder {
	t.Helper()
	listener, err := n.Listen("tcp4", net.JoinHostPort(n.host(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{Addr: listener.Addr().String(), arrived: make(chan struct{})}
	var sessions sync.WaitGroup
	open := openConns{conns: map[net.Conn]bool{}}
	sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.add(conn)
			sessions.Go(func() {
				defer open.remove(conn)
				r.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		open.closeAll()
		sessions.Wait()
		for _, fault := range r.faults {
			t.Errorf("the recorder's client broke the protocol: %s", fault)
		}
	})
	return r
}

// Messages returns the messages so far, in the order of their arrival.
func (r *Recorder) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Wait waits until n messages or more have arrived and returns them.
func (r *Recorder) Wait(t testing.TB, n int, timeout time.Duration) []Message {
	t.Helper()
	deadline := time.After(timeout)
	for {
		r.mu.Lock()
		messages, arrived := slices.Clone(r.messages), r.arrived
		r.mu.Unlock()
		if len(messages) >= n {
			return messages
		}
		select {
		case <-arrived:
		case <-deadline:
			t.Fatalf("%d of %d messages arrived within %s", len(messages), n, timeout)
		}
	}
}

func (r *Recorder) keep(m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	close(r.arrived)
	r.arrived = make(chan struct{})
}

func (r *Recorder) fault(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, what)
}

// openConns are the connections to close when the test ends.
type openConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

func (o *openConns) add(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conns[c] = true
	if o.closed {
		c.Close()
	}
}

func (o *openConns) remove(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.conns, c)
	c.Close()
}

func (o *openConns) closeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for c := range o.conns {
		c.Close()
	}
}

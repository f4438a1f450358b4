package proxy

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a listener that accepts when the test says so.
type scripted struct {
	net.Listener
	come chan error
}

func (s scripted) Accept() (net.Conn, error) { return nil, <-s.come }

// TestLoop holds a loop that waits for clients to be well, and one that takes
// too long over a client not to be.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loop{Listener: scripted{come: make(chan error)}}
		busy, done := make(chan time.Duration), make(chan struct{})
		go func() {
			defer close(done)
			defer l.ended.Store(true)
			for {
				if _, err := l.Accept(); err != nil {
					return
				}
				time.Sleep(<-busy)
			}
		}()
		check := func(want string) {
			t.Helper()
			synctest.Wait()
			err := l.stuck(time.Minute)
			if got := err; (got == nil) != (want == "") || got != nil && !strings.Contains(got.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		come := l.Listener.(scripted).come
		check("")
		time.Sleep(time.Hour)
		check("") // nobody has come
		come <- nil
		busy <- 2 * time.Minute
		time.Sleep(30 * time.Second)
		check("")
		time.Sleep(31 * time.Second)
		check("no connection has been accepted for 1m1s")
		time.Sleep(time.Minute)
		check("") // it goes on
		come <- errors.New("closed")
		<-done
		check("nobody accepts connections any more")
	})
}

// TestHealthy holds a server with a listener that has ended to say which.
func TestHealthy(t *testing.T) {
	s := &Server{doors: []*door{{}, {loop: &loop{}}}}
	if err := s.Healthy(time.Second); err != nil {
		t.Error(err)
	}
	s.doors[1].config.Name = "mx"
	s.doors[1].loop.ended.Store(true)
	if err := s.Healthy(time.Second); err == nil || err.Error() != "listener mx: nobody accepts connections any more" {
		t.Error(err)
	}
	s.ended = true
	if err := s.Healthy(time.Second); err != nil {
		t.Errorf("a server that ends is not well: %v", err)
	}
}

package milter_test

import (
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Stopping lets messages end, closes what is between messages, and cuts off
// the rest in the end.
func TestShutdown(t *testing.T) {
	d := open(t, everything())
	idle := d.dial()
	for _, p := range packets()[:4] {
		idle.Write(p)
	}
	busy := d.ask()
	busy.play(filters.Connect, filters.Rcpt, hello)
	done := make(chan error, 1)
	go func() { done <- d.shutdown(10 * time.Second) }()
	if err := gone(idle); err != nil {
		t.Error(err)
	}
	if w := busy.play(filters.Data, filters.EOM, hello); w != "eom accept" {
		t.Errorf("told %q", w)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if r := d.only("accepted"); r == nil {
		t.Error("no record")
	}
	busy.Close()
}

func TestShutdownCuts(t *testing.T) {
	d := open(t, everything())
	m := d.ask()
	m.play(filters.Connect, filters.Rcpt, hello)
	if err := d.shutdown(100 * time.Millisecond); err == nil {
		t.Error("nothing was cut off")
	}
	if r := d.only("aborted"); r.str("reason") != "shutdown" {
		t.Errorf("log %v", r)
	}
	m.Close()
}

// Many sessions at once, each with messages of its own.
func TestManyConnections(t *testing.T) {
	d := open(t, everything())
	var wait sync.WaitGroup
	for range 40 {
		wait.Go(func() {
			m := d.ask()
			m.play(filters.Connect, filters.Helo, hello)
			for range 5 {
				if w := m.mail(); w != "eom accept" {
					t.Errorf("told %q", w)
				}
				m.Abort(nil)
			}
			m.Close()
		})
	}
	wait.Wait()
	if n := len(d.records("accepted")); n != 200 {
		t.Errorf("%d records of 200", n)
	}
}

package upstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func waiting(s *slots) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// Who waits for a place gets it in turn, when there is one, or when there are to
// be more.
func TestSlots(t *testing.T) { synctest.Test(t, testSlots) }

func testSlots(t *testing.T) {
	s := newSlots(1)
	ctx := context.Background()
	if !s.take(ctx) {
		t.Fatal("no place in an empty house")
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	if s.take(short) {
		t.Error("two have one place")
	}
	order := make(chan int, 3)
	for i := range 3 {
		go func() { s.take(ctx); order <- i }()
		synctest.Wait()
	}
	s.release()
	if i := <-order; i != 0 {
		t.Errorf("number %d came first", i)
	}
	s.resize(3)
	if <-order+<-order != 3 || waiting(s) != 0 {
		t.Error("more places, and somebody waits")
	}
	s.resize(1)
	s.release()
	s.release()
	if s.take(short) {
		t.Error("one place too many")
	}
	s.release()
	if !s.take(ctx) {
		t.Error("no place, and nobody is there")
	}
}

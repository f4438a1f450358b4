package filters_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	name  = filters.NewFact[string]("client.name", "the client's name")
	cause = filters.NewFact[error]("client.cause", "why there is no name")
)

func TestFactSetAndGet(t *testing.T) {
	ctx := context.Background()
	for _, h := range []filters.Holder{&filters.Session{}, &filters.Transaction{}} {
		if _, err := name.Get(ctx, h); !errors.Is(err, filters.ErrNoFact) || !strings.Contains(err.Error(), "client.name") {
			t.Errorf("before Set: %v", err)
		}
		name.Set(h, "a")
		name.Set(h, "b")
		if v, err := name.Get(ctx, h); v != "b" || err != nil {
			t.Errorf("Get = %q, %v", v, err)
		}
	}
}

// A fact of an interface type may be nil.
func TestFactNil(t *testing.T) {
	var s filters.Session
	cause.Set(&s, nil)
	if v, err := cause.Get(context.Background(), &s); v != nil || err != nil {
		t.Errorf("Get = %v, %v", v, err)
	}
}

func TestFactGoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s filters.Session
		s.Begin(t.Context())
		name.Go(&s, func(context.Context) (string, error) { time.Sleep(time.Second); return "a", nil })
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := name.Get(short, &s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Get = %v, want the context's error", err)
		}
		for range 2 {
			if v, err := name.Get(t.Context(), &s); v != "a" || err != nil {
				t.Errorf("Get = %q, %v", v, err)
			}
		}
		s.End()
	})
}

func TestFactGoFails(t *testing.T) {
	boom := errors.New("boom")
	for want, learn := range map[string]func(context.Context) (string, error){
		"boom":                                   func(context.Context) (string, error) { return "", boom },
		"panic while learning client.name: boom": func(context.Context) (string, error) { panic(boom) },
	} {
		var s filters.Session
		name.Go(&s, learn)
		v, err := name.Get(context.Background(), &s)
		if v != "" || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Get = %q, %v, want %s", v, err, want)
		}
		s.End()
	}
}

func TestFactEndCancelsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tx filters.Transaction
		tx.Begin(t.Context())
		ended := 0
		name.Go(&tx, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // cleaning up
			ended++
			return "", ctx.Err()
		})
		tx.End()
		if ended != 1 {
			t.Error("End did not wait")
		}
		if _, err := name.Get(t.Context(), &tx); !errors.Is(err, filters.ErrNoFact) {
			t.Errorf("after End: %v", err)
		}
		tx.End()
	})
}

func TestFactEndsWithTheParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var s filters.Session
		s.Begin(ctx)
		name.Go(&s, func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })
		cancel()
		if _, err := name.Get(t.Context(), &s); !errors.Is(err, context.Canceled) {
			t.Errorf("Get = %v", err)
		}
		s.Begin(t.Context())
		if _, err := name.Get(t.Context(), &s); !errors.Is(err, filters.ErrNoFact) {
			t.Errorf("after Begin: %v", err)
		}
	})
}

// What one transaction learns late is not the next one's.
func TestFactSetWhileEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tx filters.Transaction
		tx.Begin(t.Context())
		name.Go(&tx, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			cause.Set(&tx, ctx.Err())
			name.Go(&tx, func(ctx context.Context) (string, error) {
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
					t.Error("started after the end, and not cancelled")
				}
				return "late", nil
			})
			return "", ctx.Err()
		})
		tx.Begin(t.Context())
		if _, err := cause.Get(t.Context(), &tx); !errors.Is(err, filters.ErrNoFact) {
			t.Errorf("cause: %v", err)
		}
		if v, err := name.Get(t.Context(), &tx); !errors.Is(err, filters.ErrNoFact) {
			t.Errorf("name = %q, %v", v, err)
		}
		tx.End()
	})
}

// The fact is what was said last, in whatever order the learning ends.
func TestFactNewestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s filters.Session
		s.Begin(t.Context())
		learn := func(v string, d time.Duration) {
			name.Go(&s, func(context.Context) (string, error) { time.Sleep(d); return v, nil })
		}
		learn("a", time.Second)
		learn("b", time.Hour)
		time.Sleep(time.Minute)
		name.Set(&s, "c")
		if v, err := name.Get(t.Context(), &s); v != "c" || err != nil {
			t.Errorf("Get = %q, %v, want c", v, err)
		}
		time.Sleep(2 * time.Hour)
		if v, _ := name.Get(t.Context(), &s); v != "c" {
			t.Errorf("Get = %q, want c", v)
		}
		s.End()
	})
}

func TestFactsConcurrently(t *testing.T) {
	var s filters.Session
	s.Begin(context.Background())
	var wg sync.WaitGroup
	for i := range 8 {
		fact := filters.NewFact[int](fmt.Sprint("f", i%4), "")
		wg.Go(func() {
			for n := range 50 {
				fact.Set(&s, n)
				fact.Go(&s, func(context.Context) (int, error) { return n, nil })
				if _, err := fact.Get(context.Background(), &s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.End()
}

func TestLookupFact(t *testing.T) {
	ctx := context.Background()
	var s filters.Session
	if v, err := filters.LookupFact(ctx, &s, "client.name"); v != nil || !errors.Is(err, filters.ErrNoFact) {
		t.Errorf("before Set: %v, %v", v, err)
	}
	name.Set(&s, "a")
	if v, err := filters.LookupFact(ctx, &s, "client.name"); v != "a" || err != nil {
		t.Errorf("LookupFact = %v, %v", v, err)
	}
	name.Go(&s, func(context.Context) (string, error) { return "b", errors.New("boom") })
	if v, err := filters.LookupFact(ctx, &s, "client.name"); v != nil || err == nil || err.Error() != "boom" {
		t.Errorf("LookupFact = %v, %v", v, err)
	}
	s.End()
}

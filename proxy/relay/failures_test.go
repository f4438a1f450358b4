package relay_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

// tally is a count of failures with a clock of its own.
type tally struct {
	*relay.Failures
	at time.Time
}

func newTally(entries int) *tally {
	f := &tally{at: time.Unix(1e9, 0)}
	f.Failures = relay.NewFailures(entries, func() time.Time { return f.at })
	return f
}

const window = 10 * time.Minute

// add counts failures, and wants so many after each.
func (f *tally) add(t *testing.T, client string, want ...int) {
	t.Helper()
	for _, n := range want {
		if got := f.Add(netip.MustParseAddr(client), window); got != n {
			t.Errorf("%s has failed %d times, want %d", client, got, n)
		}
	}
}

// over asks about limit 3.
func (f *tally) over(t *testing.T, client string, want bool) {
	t.Helper()
	if got := f.Over(netip.MustParseAddr(client), 3, window); got != want {
		t.Errorf("%s over the limit: %t, want %t", client, got, want)
	}
}

func TestFailuresOfNetwork(t *testing.T) {
	f := newTally(100)
	f.over(t, "192.0.2.1", false)
	f.add(t, "192.0.2.1", 1, 2)
	f.over(t, "192.0.2.1", false)
	f.add(t, "::ffff:192.0.2.1", 3)
	f.over(t, "192.0.2.1", true)
	f.over(t, "::ffff:192.0.2.1", true)
	f.over(t, "192.0.2.2", false)
	f.add(t, "192.0.2.1", 4)

	f.add(t, "2001:db8:1:2::1", 1)
	f.add(t, "2001:db8:1:2:ffff::", 2)
	f.add(t, "2001:db8:1:3::1", 1)
	f.add(t, "2001:db8:1:2::2", 3)
	f.over(t, "2001:db8:1:2::3", true)
	f.over(t, "2001:db8:1:3::1", false)

	for _, limit := range []int{0, -1, 5} {
		if f.Over(netip.MustParseAddr("192.0.2.1"), limit, window) {
			t.Errorf("4 failures are over the limit %d", limit)
		}
	}
}

// A client without an address shares its failures with nobody.
func TestFailuresWithoutAddress(t *testing.T) {
	f := newTally(100)
	for range 5 {
		if n := f.Add(netip.Addr{}, window); n != 0 {
			t.Errorf("it has failed %d times", n)
		}
	}
	if f.Over(netip.Addr{}, 3, window) {
		t.Error("it is over the limit")
	}
}

func TestNoFailures(t *testing.T) {
	var f *relay.Failures
	client := netip.MustParseAddr("192.0.2.1")
	if n := f.Add(client, window); n != 0 || f.Over(client, 1, window) {
		t.Errorf("nil counts: %d", n)
	}
}

// A window lasts from its first failure, whatever comes later.
func TestFailureWindow(t *testing.T) {
	const client = "192.0.2.1"
	f := newTally(100)
	f.add(t, client, 1)
	f.at = f.at.Add(window - 1)
	f.add(t, client, 2, 3)
	f.over(t, client, true)
	f.at = f.at.Add(1)
	f.over(t, client, false)
	f.add(t, client, 1, 2)
	f.at = f.at.Add(window)
	f.add(t, client, 1) // nobody has asked about it meanwhile
	f.at = f.at.Add(window / 2)
	f.add(t, client, 2, 3)
	f.over(t, client, true)
	if f.Over(netip.MustParseAddr(client), 3, window/2) {
		t.Error("a shorter window has not passed")
	}
}

// Who is asked about keeps its place, however many others fail.
func TestFailuresAreBounded(t *testing.T) {
	const blocked = "192.0.2.1"
	f := newTally(10)
	f.add(t, blocked, 1, 2, 3)
	other := netip.MustParseAddr("198.51.100.0")
	for range 100 {
		other = other.Next()
		f.add(t, other.String(), 1)
		f.over(t, blocked, true)
	}
	f.add(t, other.String(), 2)
	for range 8 {
		other = other.Next()
		f.add(t, other.String(), 1)
	}
	f.over(t, blocked, true)
	for range 10 {
		other = other.Next()
		f.add(t, other.String(), 1)
	}
	f.over(t, blocked, false)

	f = newTally(0)
	f.add(t, blocked, 1, 2)
	f.add(t, "192.0.2.2", 1)
	f.add(t, blocked, 1)
}

func TestFailuresAtOnce(t *testing.T) {
	f := newTally(100)
	client := netip.MustParseAddr("192.0.2.1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				f.Add(client, window)
				f.Over(client, 10, window)
			}
		})
	}
	wg.Wait()
	f.add(t, client.String(), 801)
}

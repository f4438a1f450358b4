package relay

import (
	"sync"
	"sync/atomic"
)

// crew are the goroutines that serve sessions. One that has done so waits for
// another: its stack has the size by then to which a new one's grows in steps.
type crew struct {
	next chan func()
	idle atomic.Int32
	over sync.Once
}

// maxIdle is how many wait for work at most.
const maxIdle = 64

func newCrew() *crew { return &crew{next: make(chan func())} }

// do has somebody do the work.
func (c *crew) do(work func()) {
	select {
	case c.next <- work:
	default:
		go c.serve(work)
	}
}

func (c *crew) serve(work func()) {
	for more := true; more; {
		work()
		if c.idle.Add(1) > maxIdle {
			c.idle.Add(-1)
			return
		}
		work, more = <-c.next
		c.idle.Add(-1)
	}
}

// dismiss lets those go who wait for work. There must be no more.
func (c *crew) dismiss() { c.over.Do(func() { close(c.next) }) }

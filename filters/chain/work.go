package chain

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// work is what filters do beside the sessions.
type work struct {
	ctx    context.Context
	cancel context.CancelFunc
	begin  sync.Once
	done   sync.WaitGroup
}

func newWork() *work {
	w := new(work)
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Work begins what the filters do beside the sessions. It is called when the
// chain begins to serve; further calls do nothing. Close ends it.
func (c *Chain) Work() {
	c.work.begin.Do(func() {
		for _, e := range c.entries {
			if f, ok := e.filter.(filters.Worker); ok {
				c.work.done.Go(func() { c.employ(e, f) })
			}
		}
	})
}

// employ lets a filter work. Its panic ends that work only.
func (c *Chain) employ(e *entry, f filters.Worker) {
	defer func() {
		if p := recover(); p != nil {
			c.log.LogAttrs(context.Background(), slog.LevelError, "a filter's work has ended",
				slog.String("filter", e.Name), slog.String("error", fmt.Sprintf("panic: %v\n%s", p, debug.Stack())))
		}
	}()
	f.Work(c.work.ctx)
}

func (w *work) end() {
	w.begin.Do(func() {}) // too late to begin
	w.cancel()
	w.done.Wait()
}

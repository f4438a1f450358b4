package listfile

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// minInterval keeps a mistaken unit from turning the watch into a busy loop.
const minInterval = time.Second

// Watch looks at files until it is closed.
type Watch struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// Start looks at the files at that interval, in one goroutine. 0 is never.
func Start[T any](interval time.Duration, log *slog.Logger, files []*File[T]) (*Watch, error) {
	if interval != 0 && interval < minInterval {
		return nil, fmt.Errorf("reload: %v is too short: 0 for never, or at least %v", interval, minInterval)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Watch{stop: stop}
	if interval == 0 || len(files) == 0 {
		return w, nil
	}
	w.wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			for _, f := range files {
				f.look(log)
			}
		}
	})
	return w, nil
}

// Close ends the watch and waits for a look under way.
func (w *Watch) Close() error {
	w.stop()
	w.wg.Wait()
	return nil
}

package proxy

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How changes of files are waited for. A file is written in several steps, and
// several files belong together.
const (
	watchSilence = 300 * time.Millisecond // without a change, before the files are taken as they are
	watchMost    = 5 * time.Second        // however much still changes, or is missing
	watchEvent   = 20 * time.Millisecond  // from an event to the look at the files
	watchLook    = 10 * time.Second       // between looks without an event: not all file systems send them
)

// Changed tells that a file that the configuration was made of has changed,
// when watch is set: it is time for Reload.
func (s *Server) Changed() <-chan struct{} { return s.changed }

// look watches the files of the edition in force, if it says so.
func (s *Server) look() {
	switch on := s.edition.config.Watch; {
	case on && s.watch == nil:
		s.watch = newWatch(s.log, s.edition.files, s.changed)
	case on:
		s.watch.follow(s.edition.files)
		select {
		case <-s.changed: // this was an answer to it; what came later is told again
		default:
		}
	case s.watch != nil:
		s.watch.close()
		s.watch = nil
	}
}

// watch looks after files.
type watch struct {
	log     *slog.Logger
	changed chan<- struct{}
	loaded  chan marks // files to look after from now on, as they were loaded
	stop    context.CancelFunc
	done    sync.WaitGroup

	events  *fsnotify.Watcher // nil where there are none
	files   marks             // as they were seen last
	inForce marks             // as they were loaded
	first   time.Time         // of the changes that wait, zero for none
	due     *time.Timer       // when those are to be told
	soon    *time.Timer       // when the files are to be looked at
	stirred bool              // soon is set
}

// newWatch begins to look after files. It tells changed, which has room for
// one, when they are not as they were.
func newWatch(log *slog.Logger, files marks, changed chan<- struct{}) *watch {
	w := &watch{log: log, changed: changed, loaded: make(chan marks, 1), due: stopped(), soon: stopped()}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	events, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("the system does not tell of changed files; they are looked at from time to time", "every", watchLook.String(), "error", err)
	} else {
		w.events = events
	}
	w.take(files)
	w.done.Go(func() { w.run(ctx) })
	return w
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// follow has the watch look after other files.
func (w *watch) follow(files marks) {
	select {
	case <-w.loaded: // not taken yet, and out of date
	default:
	}
	w.loaded <- files
}

func (w *watch) close() {
	w.stop()
	w.done.Wait()
	if w.events != nil {
		w.events.Close()
	}
}

func (w *watch) run(ctx context.Context) {
	var events chan fsnotify.Event
	var errs chan error
	if w.events != nil {
		events, errs = w.events.Events, w.events.Errors
	}
	often := time.NewTicker(watchLook)
	defer often.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case files := <-w.loaded:
			w.take(files)
		case <-events:
			w.stir()
		case <-errs: // events were lost
			w.stir()
		case <-w.soon.C:
			w.stirred = false
			w.look()
		case <-often.C:
			w.enter()
			w.look()
		case <-w.due.C:
			if !w.look() {
				w.tell()
			}
		}
	}
}

// take begins with files as they were loaded.
func (w *watch) take(files marks) {
	w.files, w.inForce, w.first = files, files, time.Time{}
	w.due.Stop()
	w.enter()
	w.look()
}

// enter has the system tell of the folders where a change would show.
func (w *watch) enter() {
	if w.events == nil {
		return
	}
	want := folders(w.files.names())
	for _, have := range w.events.WatchList() {
		if !slices.Contains(want, have) {
			_ = w.events.Remove(have) // it may be gone
		}
	}
	for _, folder := range want {
		_ = w.events.Add(folder) // what cannot be watched is looked at
	}
}

// stir has the files looked at soon. Many events may be of other files.
func (w *watch) stir() {
	if !w.stirred {
		w.stirred = true
		w.soon.Reset(watchEvent)
	}
}

// look reports whether there are changes. They wait for silence.
func (w *watch) look() bool {
	now := lookAt(w.files.names())
	if now.same(w.files) {
		return false
	}
	w.files = now
	if w.first.IsZero() {
		w.first = time.Now()
	}
	w.wait()
	w.enter() // links may lead elsewhere
	return true
}

// wait waits for silence, but not for ever.
func (w *watch) wait() {
	w.due.Reset(max(0, min(watchSilence, watchMost-time.Since(w.first))))
}

// tell tells of the changes, which have come to an end.
func (w *watch) tell() {
	if w.files.missing() && time.Since(w.first) < watchMost {
		w.wait() // it may be about to be renamed
		return
	}
	w.first = time.Time{}
	if w.files.same(w.inForce) {
		return
	}
	select {
	case w.changed <- struct{}{}:
	default: // it has been told
	}
}

package store

import "time"

// How often the disk is written, and looked through for what has ended.
const (
	writeEvery = time.Second
	sweepEvery = time.Minute
)

// Open puts the file behind the memory. It is made if it is not there. One that
// is damaged is set aside, and a new one begun: the memory is no reason not to
// serve. The error says what to do about a file that cannot be used.
//
// Call it once. What was stored before goes into the file too.
func (s *Store) Open(name string) error {
	d, err := openDisk(name, s.max, s.now, s.log)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.disk = d
	for _, key := range s.memory.Keys() {
		if e, ok := s.memory.Peek(key); ok && !s.queue.put(key, e) {
			s.metrics.lost.Add(1, queueFull...)
		}
	}
	s.mu.Unlock()
	s.stop, s.done = make(chan struct{}), make(chan struct{})
	go s.write()
	return nil
}

// Close writes what waits for the disk and closes the file. From then on the
// store is in memory alone.
func (s *Store) Close() error {
	if s.done == nil {
		return nil
	}
	close(s.stop)
	<-s.done
	s.done = nil
	s.mu.Lock()
	d := s.disk
	s.disk, s.queue = nil, queue{}
	s.mu.Unlock()
	return d.close()
}

// write keeps the disk up to date until the store is closed.
func (s *Store) write() {
	defer close(s.done)
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	w := writer{Store: s}
	for {
		select {
		case <-tick.C:
			w.step()
		case <-s.stop:
			w.flush()
			return
		}
	}
}

// writer is the one goroutine that writes the disk.
type writer struct {
	*Store
	failing bool
	sweep   time.Time // when to look for what has ended
}

// step writes what waits. Now and then it looks for what has ended, and goes on
// with that in steps for as long as there is more.
func (w *writer) step() {
	swept := w.flush()
	if now := w.now(); !swept && !now.Before(w.sweep) {
		w.sweep = now.Add(sweepEvery)
		if w.disk.anyEnded() {
			w.told(w.disk.write(nil))
			w.sweep = now
		}
	}
	w.metrics.entries.Set(float64(w.disk.count.Load()), file...)
}

// flush writes what waits, and reports whether it did.
func (w *writer) flush() bool {
	w.mu.Lock()
	batch := w.queue.take()
	w.mu.Unlock()
	if len(batch) == 0 {
		return false
	}
	err := w.disk.write(batch)
	w.mu.Lock()
	dropped := w.queue.written(err)
	w.mu.Unlock()
	w.metrics.lost.Add(float64(dropped), queueFull...)
	w.told(err)
	return err == nil
}

// told logs when writing begins to fail, and when it is well again.
func (w *writer) told(err error) {
	switch {
	case err != nil:
		w.metrics.failures.Add(1)
		if !w.failing {
			w.log.Warn("the state file cannot be written, what is new is kept in memory only", "file", w.disk.name, "error", err)
		}
	case w.failing:
		w.log.Info("the state file is written again", "file", w.disk.name)
	}
	w.failing = err != nil
}

package store

// Bounds of what waits for the disk. It is written every second.
const (
	maxQueued     = 20_000
	maxQueuedSize = 32 << 20 // octets
)

// queue is what waits for the disk, and what is being written at the moment.
// The store's lock guards it.
type queue struct {
	waiting, writing map[string]entry
	size             int // octets of waiting
}

func (q *queue) get(key string) (entry, bool) {
	if e, ok := q.waiting[key]; ok {
		return e, true
	}
	e, ok := q.writing[key]
	return e, ok
}

// put adds an entry, or reports that there is no room.
func (q *queue) put(key string, e entry) bool {
	old, there := q.waiting[key]
	size := q.size + sizeOf(key, e)
	if there {
		size -= sizeOf(key, old)
	}
	if size > maxQueuedSize || !there && len(q.waiting) >= maxQueued {
		return false
	}
	if q.waiting == nil {
		q.waiting = map[string]entry{}
	}
	q.waiting[key], q.size = e, size
	return true
}

// take returns what is to be written now.
func (q *queue) take() map[string]entry {
	q.writing, q.waiting, q.size = q.waiting, nil, 0
	return q.writing
}

// written ends what take began. What could not be written waits again, unless
// something newer does, or there is no room: dropped is how many of those.
func (q *queue) written(err error) (dropped int) {
	batch := q.writing
	q.writing = nil
	if err == nil {
		return 0
	}
	for key, e := range batch {
		if _, newer := q.waiting[key]; !newer && !q.put(key, e) {
			dropped++
		}
	}
	return dropped
}

package relay

import (
	"errors"
	"sync/atomic"
)

// Room bounds the octets of held messages, in memory and in files, over all
// sessions of a process. It is safe for concurrent use; nil is no bound.
type Room struct{ max, taken atomic.Int64 }

// errNoRoom is why a message cannot be held.
var errNoRoom = errors.New("held messages take all the room there is for them: see sessions.max_held")

// NewRoom returns room for that many octets. 0 is no bound.
func NewRoom(max int64) *Room {
	r := &Room{}
	r.Resize(max)
	return r
}

// Resize changes how much there is for what comes from now on.
func (r *Room) Resize(max int64) { r.max.Store(max) }

// Taken returns how many octets are held.
func (r *Room) Taken() int64 { return r.taken.Load() }

// take takes n octets if they are there.
func (r *Room) take(n int64) bool {
	if r == nil {
		return true
	}
	if taken, most := r.taken.Add(n), r.max.Load(); most > 0 && taken > most {
		r.taken.Add(-n)
		return false
	}
	return true
}

func (r *Room) give(n int64) {
	if r != nil {
		r.taken.Add(-n)
	}
}

package filters

import "time"

// Store remembers small things beyond a session, such as what a client has
// shown itself to be; on disk, if the host keeps it there. It may forget early
// when it is full, so that a filter without its memory must do no harm. It is
// safe for concurrent use.
type Store interface {
	// Get returns what was stored under the key and is still valid. The
	// value must not be changed.
	Get(key string) (value []byte, ok bool)

	// Put stores the value for as long as life. A key begins with the name
	// of the kind and a slash.
	Put(key string, value []byte, life time.Duration)
}

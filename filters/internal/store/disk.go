package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// The buckets of the file: the entries, each value behind its end of life in
// eight octets, and an index of them by that end.
var (
	entries = []byte("entries")
	ends    = []byte("ends")
)

const (
	endSize   = 8
	writeStep = 1000 // most entries that are written in one transaction: its time grows with their square
	sweepStep = 1000 // most that are taken out in one because they have ended
)

// disk is the file. One goroutine writes it, any may read.
type disk struct {
	name   string
	db     *bbolt.DB
	max    int
	now    func() time.Time
	log    *slog.Logger
	count  atomic.Int64
	broken atomic.Bool // of no more use
}

// get returns an entry, ended or not.
func (d *disk) get(key string) (e entry, found bool) {
	err := d.safely(func() error {
		return d.db.View(func(tx *bbolt.Tx) error {
			if v := tx.Bucket(entries).Get([]byte(key)); len(v) >= endSize {
				e = entry{append([]byte(nil), v[endSize:]...), int64(binary.BigEndian.Uint64(v))}
				found = true
			}
			return nil
		})
	})
	return e, found && err == nil
}

// write stores entries, and takes out what has ended and what is too much.
// After an error some of the entries may have been stored.
func (d *disk) write(batch map[string]entry) error {
	keys := slices.Sorted(maps.Keys(batch)) // neighbours are in one page
	for {
		n := min(len(keys), writeStep)
		if err := d.writeStep(batch, keys[:n]); err != nil {
			return err
		}
		if keys = keys[n:]; len(keys) == 0 {
			return nil
		}
	}
}

// writeStep writes the entries of some keys in one transaction.
func (d *disk) writeStep(batch map[string]entry, keys []string) error {
	count := int(d.count.Load())
	err := d.safely(func() error {
		return d.db.Update(func(tx *bbolt.Tx) error {
			for _, key := range keys {
				added, err := put(tx, []byte(key), batch[key])
				if err != nil {
					return err
				}
				count += added
			}
			removed, err := d.trim(tx, count)
			count -= removed
			return err
		})
	})
	if err == nil {
		d.count.Store(int64(count))
	}
	return err
}

// put stores one entry and returns by how many there are more now.
func put(tx *bbolt.Tx, key []byte, e entry) (added int, err error) {
	all, index := tx.Bucket(entries), tx.Bucket(ends)
	added = 1
	if old := all.Get(key); len(old) >= endSize {
		added = 0
		if err := index.Delete(append(append([]byte(nil), old[:endSize]...), key...)); err != nil {
			return 0, err
		}
	}
	end := binary.BigEndian.AppendUint64(nil, uint64(max(0, e.until)))
	if err := all.Put(key, append(end[:endSize:endSize], e.value...)); err != nil {
		return 0, err
	}
	return added, index.Put(append(end[:endSize:endSize], key...), nil)
}

// trim takes out up to sweepStep entries that have ended, and of others those
// that end first while there are more than max.
func (d *disk) trim(tx *bbolt.Tx, count int) (removed int, err error) {
	all, index := tx.Bucket(entries), tx.Bucket(ends)
	var out [][]byte
	for c, k := cursor(index); k != nil; k, _ = c.Next() {
		if count-len(out) <= d.max && (len(out) >= sweepStep || !d.ended(k)) {
			break
		}
		out = append(out, k)
	}
	for _, k := range out {
		if err := errors.Join(all.Delete(k[endSize:]), index.Delete(k)); err != nil {
			return 0, err
		}
	}
	return len(out), nil
}

func cursor(b *bbolt.Bucket) (*bbolt.Cursor, []byte) {
	c := b.Cursor()
	k, _ := c.First()
	return c, k
}

// ended reports whether a key of the index is of an entry that has ended.
func (d *disk) ended(k []byte) bool {
	return len(k) >= endSize && int64(binary.BigEndian.Uint64(k)) <= d.now().UnixMilli()
}

func (d *disk) anyEnded() (any bool) {
	err := d.safely(func() error {
		return d.db.View(func(tx *bbolt.Tx) error {
			_, k := cursor(tx.Bucket(ends))
			any = d.ended(k)
			return nil
		})
	})
	return any && err == nil
}

func (d *disk) close() error {
	if d.broken.Load() { // it may hold its locks for ever
		return nil
	}
	return d.safely(d.db.Close)
}

var errBroken = errors.New("the file is damaged")

// safely does what needs the file. Bbolt trusts what it has mapped, and panics
// when that is damaged: the file is then left alone until the next start, which
// will set it aside.
func (d *disk) safely(do func() error) error {
	if d.broken.Load() {
		return errBroken
	}
	err := guarded(do)
	if errors.Is(err, errBroken) && !d.broken.Swap(true) {
		d.log.Error("the state file is damaged, all is kept in memory only; mailweir will begin a new file when it is restarted",
			"file", d.name, "error", err)
	}
	return err
}

// guarded turns panics, and faults in mapped memory, into errBroken.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errBroken, p)
		}
	}()
	return do()
}

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// head marks a file as ours. Its format tells how the buckets are to be read.
var (
	head   = []byte("mailweir")
	format = []byte("format")
)

const (
	version     = 1
	lockTimeout = 800 * time.Millisecond

	// The file may grow to this many octets for each entry. A usual one takes
	// a tenth of that.
	fileRoom    = 4 << 10
	leastRoom   = 64 << 20
	permissions = 0o600
)

// openDisk opens the file, or begins a new one.
func openDisk(name string, max int, now func() time.Time, log *slog.Logger) (*disk, error) {
	d := &disk{name: name, max: max, now: now, log: log}
	err := d.load()
	if damaged(err) {
		aside := name + ".broken-" + now().UTC().Format("20060102T150405Z")
		if err := os.Rename(name, aside); err != nil {
			return nil, fmt.Errorf("the file is damaged and cannot be set aside: %w", err)
		}
		log.Warn("the state file is damaged, a new one is begun", "file", name, "aside", aside, "error", err)
		err = d.load()
	}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s %w: each mailweir needs a file of its own", name, ErrInUse)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: make the folder %s first", err, filepath.Dir(name))
	case err != nil:
		return nil, err
	}
	return d, nil
}

// ErrInUse is why a file cannot be opened that another process has open.
var ErrInUse = errors.New("is in use by another process")

// damaged tells a file that is of no use from one that cannot be had.
func damaged(err error) bool {
	var system syscall.Errno
	return err != nil && !errors.As(err, &system) && !errors.Is(err, bolterrors.ErrTimeout) && !errors.Is(err, errForeign)
}

var errForeign = errors.New("is no state file of mailweir: name another one")

// load opens the file and reads it once from end to end: where it is damaged,
// that had better show now.
func (d *disk) load() error {
	if info, err := os.Stat(d.name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s %w", d.name, errForeign)
	}
	err := guarded(func() (err error) {
		d.db, err = bbolt.Open(d.name, permissions, &bbolt.Options{
			Timeout: lockTimeout,
			MaxSize: max(leastRoom, d.max*fileRoom),
		})
		return err
	})
	if err != nil {
		return err
	}
	err = guarded(func() error {
		return errors.Join(d.db.Update(d.begin), d.db.View(d.verify))
	})
	if err != nil && !errors.Is(err, errBroken) {
		d.db.Close()
	}
	return err
}

// begin makes the buckets in a new file, and refuses one of another program.
func (d *disk) begin(tx *bbolt.Tx) error {
	if b := tx.Bucket(head); b != nil {
		if v := b.Get(format); len(v) != 1 || v[0] != version {
			return fmt.Errorf("its format is %x, want %02x", v, version)
		}
		return nil
	}
	if k, _ := tx.Cursor().First(); k != nil {
		return fmt.Errorf("%s %w", d.name, errForeign)
	}
	b, err := tx.CreateBucket(head)
	if err != nil {
		return err
	}
	_, err1 := tx.CreateBucket(entries)
	_, err2 := tx.CreateBucket(ends)
	return errors.Join(b.Put(format, []byte{version}), err1, err2)
}

// verify holds entries and index to each other, and counts them.
func (d *disk) verify(tx *bbolt.Tx) error {
	all, index := tx.Bucket(entries), tx.Bucket(ends)
	if all == nil || index == nil {
		return errors.New("it lacks a bucket")
	}
	count, indexed := 0, 0
	err := errors.Join(
		all.ForEach(func(k, v []byte) error {
			count++
			if len(v) < endSize {
				return fmt.Errorf("the value of %q is too short", k)
			}
			return nil
		}),
		index.ForEach(func(k, _ []byte) error {
			indexed++
			if len(k) <= endSize || binary.BigEndian.Uint64(k) > 1<<62 {
				return fmt.Errorf("%q is no key of the index", k)
			}
			return nil
		}),
	)
	if err == nil && count != indexed {
		err = fmt.Errorf("%d entries, %d in the index", count, indexed)
	}
	d.count.Store(int64(count))
	return err
}

package listfile

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
)

// File is a list file and what it said when it was last in order.
type File[T any] struct {
	path  string
	read  func(r io.Reader, name string) (*T, error)
	value atomic.Pointer[T]

	seen  os.FileInfo // what value was read from
	last  os.FileInfo // what the last look saw, if that was not seen
	fault string      // what is wrong with the file now, as it was logged
}

// Open reads the named files, relative to dir, each with read. Its error tells
// of every file that is missing or broken.
func Open[T any](dir string, names []string, read func(r io.Reader, name string) (*T, error)) ([]*File[T], error) {
	var files []*File[T]
	var errs []error
	for _, name := range names {
		f := &File[T]{path: name, read: read}
		if !filepath.IsAbs(name) {
			f.path = filepath.Join(dir, name)
		}
		info, err := stat(f.path)
		if err == nil {
			err = f.load(info)
		}
		files, errs = append(files, f), append(errs, err)
	}
	return files, errors.Join(errs...)
}

// Value returns what the file said when it was last in order. It neither
// allocates nor locks.
func (f *File[T]) Value() *T { return f.value.Load() }

// look reads the file again if it has changed. A file that is broken or gone
// leaves the old value in force, and is logged once.
//
// A change counts when two looks see the same: a file that is still being
// written would read as a shorter list that is in order.
func (f *File[T]) look(log *slog.Logger) {
	info, err := stat(f.path)
	switch {
	case err != nil:
		f.broken(log, err)
	case same(f.seen, info):
		f.mended(log)
	case !same(f.last, info):
		f.last = info
	default:
		if err := f.load(info); err != nil {
			f.broken(log, err)
			return
		}
		f.fault = ""
		log.Info("list file read again", "file", f.path)
	}
}

// load reads the file aside, then puts the new value in force at once.
func (f *File[T]) load(info os.FileInfo) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	value, err := f.read(file, f.path)
	if err != nil {
		return err
	}
	f.value.Store(value)
	f.seen = info
	return nil
}

func (f *File[T]) broken(log *slog.Logger, err error) {
	if err.Error() == f.fault {
		return
	}
	f.fault = err.Error()
	log.Error("list file is unusable, what it said before stays in force", "file", f.path, "error", err)
}

// mended tells that the file in force has come back as it was.
func (f *File[T]) mended(log *slog.Logger) {
	if f.fault == "" {
		return
	}
	f.fault = ""
	log.Info("list file is in order again", "file", f.path)
}

// stat refuses what is no regular file: opening a pipe would wait for its
// writer.
func stat(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	return info, err
}

// same reports whether both describe one state of one file.
func same(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// FileError tells which file cannot be used, and which option names it.
type FileError struct {
	Option string // "certificate", "key", "client_ca" or "ca"
	Index  int    // of the pair in Server.Certificates, otherwise 0
	File   string
	Err    error // what is wrong with it, and what to do
}

func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// FileErrors returns all of what an error of Shelf.Server or Shelf.Client
// tells, in the order of the options.
func FileErrors(err error) []*FileError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*FileError
		for _, err := range joined.Unwrap() {
			all = append(all, FileErrors(err)...)
		}
		return all
	}
	if fault := (*FileError)(nil); errors.As(err, &fault) {
		return []*FileError{fault}
	}
	return nil
}

// unreadable says of an error of the file system what to do about it. The name
// of the file is left to the FileError.
func unreadable(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: correct the name, or put the file there", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: let mailweir's user read it, such as with chgrp and chmod 640, and enter its folders", err)
	}
	return err
}

// maxShown bounds in octets what a peer's certificate adds to an error.
const maxShown = 300

// shown is text from a peer, such as names in its certificate, as it may stand
// in an error: a line of printable ASCII.
func shown(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "..."
	}
	return printable(text)
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

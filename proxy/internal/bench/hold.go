package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// A hold is what the harness of the tests gets in place of a test: it ends
// what the harness has started, and makes errors of its complaints.
type hold struct {
	testing.TB // nil: what is not below is not used
	cleanups   []func()
}

// A complaint is why the harness stopped.
type complaint struct{ error }

// try runs a part of the harness.
func try(do func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c, ok := p.(complaint)
			if !ok {
				panic(p)
			}
			err = c.error
		}
	}()
	do()
	return nil
}

// end undoes what the harness has done.
func (h *hold) end() {
	for _, undo := range slices.Backward(h.cleanups) {
		undo()
	}
}

func (h *hold) Cleanup(undo func()) { h.cleanups = append(h.cleanups, undo) }

func (*hold) Helper() {}

func (*hold) Failed() bool { return false }

func (*hold) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (h *hold) Errorf(format string, args ...any) { h.Logf(format, args...) }

func (*hold) Fatal(args ...any) { panic(complaint{errors.New(fmt.Sprint(args...))}) }

func (*hold) Fatalf(format string, args ...any) { panic(complaint{fmt.Errorf(format, args...)}) }

// Skipf is how the harness tells that a program is not there.
func (*hold) Skipf(format string, args ...any) {
	panic(complaint{fmt.Errorf(format+": %w", append(args, errNotInstalled)...)})
}

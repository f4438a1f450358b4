package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// logText is much more than pipes hold.
func logText() string {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "%d%s\n", i, strings.Repeat("x", i%300))
	}
	return b.String()
}

// writeLog writes the text, a record at a time.
func writeLog(w *os.File, text string) error {
	log := newLogWriter(w)
	for record := range strings.Lines(text) {
		if n, err := io.WriteString(log, record); n != len(record) || err != nil {
			return fmt.Errorf("%d of %d octets: %w", n, len(record), err)
		}
	}
	return w.Close()
}

// Whoever reads the log slowly gets all records, whole and in order.
func TestLogWriter(t *testing.T) {
	for name, open := range map[string]func() (r, w *os.File, err error){
		"pipe": os.Pipe,
		"socket": func() (r, w *os.File, err error) {
			fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			return os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer"), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, w, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			want, wrote := logText(), make(chan error, 1)
			go func() { wrote <- writeLog(w, want) }()
			if got, err := io.ReadAll(r); err != nil || string(got) != want {
				t.Errorf("%d octets arrive, want %d; %v", len(got), len(want), err)
			}
			if err := <-wrote; err != nil {
				t.Error(err)
			}
		})
	}
}

// A file is appended to.
func TestLogWriterFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	for range 2 {
		w, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeLog(w, logText()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != logText()+logText() {
		t.Errorf("%d octets are there, want %d; %v", len(got), 2*len(logText()), err)
	}
}

// Who writes to a log that nobody reads any more hears of it.
func TestLogWriterFails(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	if _, err := newLogWriter(w).Write([]byte("x\n")); err == nil {
		t.Error("a write to nobody succeeds")
	}
}

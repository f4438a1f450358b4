package listfile_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/internal/listfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const interval = 10 * time.Second

// read makes a string of a list; the entry "bad" is an error.
func read(r io.Reader, name string) (*string, error) {
	var all []string
	err := listfile.Lines(r, name, func(entry string) error {
		if entry == "bad" {
			return io.ErrUnexpectedEOF
		}
		all = append(all, entry)
		return nil
	})
	s := strings.Join(all, " ")
	return &s, err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestWatch tells the life of a list file, step by step. Each step is followed
// by two looks.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path, aside := filepath.Join(dir, "list"), filepath.Join(dir, "aside")
		write(t, path, "one\n")
		files, err := listfile.Open(dir, []string{"list"}, read)
		if err != nil {
			t.Fatal(err)
		}
		env, log := filtertest.Env(dir)
		watch, err := listfile.Start(interval, env.Log, files)
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Close()

		for _, step := range []struct {
			what    string
			do      func()
			want    string // the value afterwards
			wantLog string // part of the one record, "" for none
		}{
			{"untouched", func() {}, "one", ""},
			{"written in place", func() { write(t, path, "one\ntwo\n") }, "one two", "read again"},
			{"renamed over", func() { write(t, aside, "three\n"); rename(t, aside, path) }, "three", "read again"},
			{"broken", func() { write(t, path, "four\nbad\n") }, "three", "list:2: unexpected EOF"},
			{"still broken", func() {}, "three", ""},
			{"broken otherwise", func() { write(t, path, "bad\n") }, "three", "list:1: unexpected EOF"},
			{"put right", func() { write(t, path, "four\n") }, "four", "read again"},
			{"moved away", func() { rename(t, path, aside) }, "four", "no such file"},
			{"still away", func() {}, "four", ""},
			{"moved back", func() { rename(t, aside, path) }, "four", "in order again"},
			{"replaced by a directory", func() { rename(t, path, aside); os.Mkdir(path, 0o755) }, "four", "not a regular file"},
		} {
			step.do()
			time.Sleep(2*interval + time.Second)
			synctest.Wait()
			if got := *files[0].Value(); got != step.want {
				t.Errorf("%s: the list says %q, want %q", step.what, got, step.want)
			}
			logged := log.Take()
			if !strings.Contains(logged, step.wantLog) || strings.Count(logged, "\n") != min(1, len(step.wantLog)) {
				t.Errorf("%s: logged %q, want one record with %q", step.what, logged, step.wantLog)
			}
		}
	})
}

func TestWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "list")
		write(t, path, "one\n")
		files, err := listfile.Open(dir, []string{path}, read)
		if err != nil {
			t.Fatal(err)
		}
		env, _ := filtertest.Env(dir)
		watch, err := listfile.Start(interval, env.Log, files)
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Close()

		text := ""
		for _, part := range []string{"", "two\n", "three\n"} {
			text += part
			write(t, path, text)
			time.Sleep(interval)
			synctest.Wait()
			if got := *files[0].Value(); got != "one" {
				t.Errorf("while the file is written, the list says %q", got)
			}
		}
		time.Sleep(interval)
		synctest.Wait()
		if got := *files[0].Value(); got != "two three" {
			t.Errorf("the list says %q, want all of it", got)
		}
	})
}

func TestOpenTellsEveryFault(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "broken"), "bad\n")
	_, err := listfile.Open(dir, []string{"gone", "broken", dir}, read)
	for _, want := range []string{"gone: no such file", "broken:1: unexpected EOF", "not a regular file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not tell %q", err, want)
		}
	}
}

func TestIntervals(t *testing.T) {
	env, _ := filtertest.Env("")
	for interval, ok := range map[time.Duration]bool{0: true, time.Second: true, time.Millisecond: false, -time.Second: false} {
		watch, err := listfile.Start(interval, env.Log, []*listfile.File[string]{})
		if ok != (err == nil) {
			t.Errorf("interval %v: error %v", interval, err)
		}
		if err == nil {
			watch.Close()
		}
	}
}

package proxy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

const watched = "watch: true\n"

// obey reloads whenever the server says that a file has changed, as the command
// serve does. The channel gets what came of it.
func (r *reloading) obey() <-chan error {
	results := make(chan error, 100)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-r.Changed():
				results <- r.Reload(r.load)
			case <-stop:
				return
			}
		}
	}()
	r.Cleanup(func() { close(stop); <-stopped })
	return results
}

// within returns the next result.
func within(t *testing.T, results <-chan error, what string) error {
	t.Helper()
	select {
	case err := <-results:
		return err
	case <-time.After(patience):
		t.Fatalf("no reload: %s", what)
		return nil
	}
}

// none checks that there is no result, in the time in which there would be one.
func none(t *testing.T, results <-chan error, what string) {
	t.Helper()
	select {
	case err := <-results:
		t.Errorf("a reload, after %s: %v", what, err)
	case <-time.After(600 * time.Millisecond):
	}
}

// judge returns the policy under which a session is judged that begins now.
func (r *reloading) judge(sink *peer.Recorder) string {
	r.Helper()
	n := len(sink.Messages())
	c := peer.Dial(r.T, r.Addr("mx").String())
	c.Do("250", "EHLO client.test.example")
	post(c, "x")
	c.Do("221", "QUIT")
	return policies(sink.Wait(r.T, n+1, patience)[n])
}

// However a file is saved, it is loaded once it is whole.
func TestWatch(t *testing.T) {
	sink := peer.Sink(t)
	text := func(version int) string { return policy(sink.Addr, version, watched+"log: {level: info}\n") }
	save := func(file, text string) error { return os.WriteFile(file, []byte(text), 0o644) }
	for name, change := range map[string]func(file, text string) error{
		"written in place": save,
		"renamed over": func(file, text string) error {
			if err := save(file+".tmp", text); err != nil {
				return err
			}
			return os.Rename(file+".tmp", file)
		},
		"with a backup": func(file, text string) error { // as vim with backupcopy=no
			if err := os.Rename(file, file+"~"); err != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond)
			return save(file, text)
		},
		"gone for a while": func(file, text string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			time.Sleep(time.Second)
			return save(file, text)
		},
		"in pieces": func(file, text string) error {
			f, err := os.Create(file)
			if err != nil {
				return err
			}
			for piece := range strings.SplitAfterSeq(text, "\n") {
				if _, err := f.WriteString(piece); err != nil {
					return err
				}
				time.Sleep(50 * time.Millisecond)
			}
			return f.Close()
		},
		"several times": func(file, text string) error {
			for range 5 {
				if err := save(file, text+"# more\n"); err != nil {
					return err
				}
				time.Sleep(100 * time.Millisecond)
			}
			return save(file, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := serveFile(t, text(1))
			results := r.obey()
			if err := change(r.file, text(2)); err != nil {
				t.Fatal(err)
			}
			var err error
			for r.judge(sink) != "2 2" { // a busy machine may take longer to save than to be silent
				err = within(t, results, name)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A broken file is tried once; what puts it right is tried again. Other files
// are nobody's business.
func TestWatchBroken(t *testing.T) {
	sink := peer.Sink(t)
	text := func(version int) string { return policy(sink.Addr, version, watched) }
	r := serveFile(t, text(1))
	results := r.obey()
	for range 3 {
		if err := os.WriteFile(filepath.Join(filepath.Dir(r.file), "state"), []byte(time.Now().String()), 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	none(t, results, "another file was written")
	r.write(text(2) + "nonsense: true\n")
	if err := within(t, results, "it is broken"); err == nil {
		t.Error("nothing is wrong with it")
	}
	none(t, results, "it was found broken")
	r.write(text(3))
	if err := within(t, results, "it was put right"); err != nil {
		t.Error(err)
	}
	if got := r.judge(sink); got != "3 3" {
		t.Error(got)
	}
	r.reload(text(4)) // by hand
	none(t, results, "a reload by hand")
	r.write(policy(sink.Addr, 5, ""))
	if err := within(t, results, "watch was turned off"); err != nil {
		t.Error(err)
	}
	r.write(text(6))
	none(t, results, "watch was turned off")
	if got := r.judge(sink); got != "5 5" {
		t.Error(got)
	}
	r.reload(text(7))
	r.write(text(8))
	if err := within(t, results, "watch was turned on again"); err != nil {
		t.Error(err)
	}
}

// Kubernetes mounts a file as a link by way of another link, which is exchanged.
func TestWatchLinks(t *testing.T) {
	sink := peer.Sink(t)
	dir := t.TempDir()
	version := func(n int) string {
		folder := filepath.Join(dir, fmt.Sprintf("..%d", n))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "mailweir.yaml"), []byte(policy(sink.Addr, n, watched)), 0o644); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	exchange := func(folder string) {
		if err := os.Symlink(filepath.Base(folder), filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	last := version(1)
	exchange(last)
	if err := os.Symlink("..data/mailweir.yaml", filepath.Join(dir, "mailweir.yaml")); err != nil {
		t.Fatal(err)
	}
	r := serveFileAt(t, filepath.Join(dir, "mailweir.yaml"))
	results := r.obey()
	for n := 2; n < 5; n++ {
		folder := version(n)
		exchange(folder)
		if err := os.RemoveAll(last); err != nil {
			t.Fatal(err)
		}
		last = folder
		if err := within(t, results, "the link was exchanged"); err != nil {
			t.Error(err)
		}
		if got, want := r.judge(sink), fmt.Sprintf("%d %[1]d", n); got != want {
			t.Errorf("judged by %q, want %s", got, want)
		}
	}
	none(t, results, "the last exchange")
}

// What fails for good is told after a while, though the file may be about to
// come back.
func TestWatchGone(t *testing.T) {
	sink := peer.Sink(t)
	r := serveFile(t, policy(sink.Addr, 1, watched))
	results := r.obey()
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if err := within(t, results, "the file is gone"); err == nil {
		t.Error("it was loaded")
	}
	none(t, results, "it was found gone")
	r.write(policy(sink.Addr, 2, watched))
	if err := within(t, results, "the file is back"); err != nil {
		t.Error(err)
	}
}

// The files that filters were made of are watched too, wherever they are.
func TestWatchFilesOfFilters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "version")
	save := func(version string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(version), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	save("1")
	sink := peer.Sink(t)
	r := serveFile(t, policy(sink.Addr, 1, fmt.Sprintf("  - stamp: {file: %q}\n    name: third\n%s", file, watched)))
	results := r.obey()
	for _, version := range []string{"2", "wrong", "3"} {
		r.log.reset()
		save(version)
		if err := within(t, results, version); (err != nil) != (version == "wrong") {
			t.Errorf("%s: %v", version, err)
		}
		if log := r.log.String(); version != "wrong" && !strings.Contains(log, "file "+file+": changed]") {
			t.Errorf("%s: %s", version, log)
		}
	}
}

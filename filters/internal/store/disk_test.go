package store_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
)

// quiet holds the store to have logged nothing.
func (h *host) quiet(t *testing.T) {
	t.Helper()
	if log := h.log.Take(); log != "" {
		t.Error(log)
	}
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		h := open(t, 100, file)
		h.Put("rdns/a", []byte("one"), time.Hour)
		h.Put("rdns/b", []byte("two"), 48*time.Hour)
		h.mustClose(t)
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		time.Sleep(2 * time.Hour)
		h = open(t, 100, file)
		wantNone(t, h, "rdns/a")
		want(t, h, "rdns/b", "two")
		want(t, h, "rdns/b", "two")
		for source, n := range map[string]string{"none": "1", "file": "1", "memory": "1"} {
			if got := h.count(t, `mailweir_state_reads_total{source="`+source+`"}`); got != n {
				t.Errorf("%s reads from %s, want %s", got, source, n)
			}
		}
		h.mustClose(t)
		h.quiet(t)
	})
}

// What has been forgotten in memory is still in the file, or on its way there.
func TestBehindMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 2, filepath.Join(t.TempDir(), "state"))
		defer h.mustClose(t)
		for i := range 5 {
			h.Put(fmt.Sprint(i), []byte("v"), time.Hour)
		}
		for i := range 5 {
			want(t, h, fmt.Sprint(i), "v")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := h.count(t, `mailweir_state_entries{place="file"}`); n != "2" {
			t.Errorf("%s entries in the file, want 2", n)
		}
	})
}

// The file keeps those that end last.
func TestFileIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		h := open(t, 10, file)
		for i := range 30 {
			h.Put(fmt.Sprint(i), []byte("v"), time.Duration(i+1)*time.Hour)
			h.Put(fmt.Sprint(i), []byte("w"), time.Duration(i+1)*time.Hour)
			if i%7 == 0 {
				time.Sleep(time.Second)
			}
		}
		h.mustClose(t)
		h = open(t, 10, file)
		defer h.mustClose(t)
		wantNone(t, h, "19")
		for i := 20; i < 30; i++ {
			want(t, h, fmt.Sprint(i), "w")
		}
	})
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 5000, filepath.Join(t.TempDir(), "state"))
		defer h.mustClose(t)
		for i := range 3500 {
			h.Put(fmt.Sprint(i), []byte("v"), 10*time.Minute)
		}
		h.Put("long", []byte("v"), time.Hour)
		in := func(wait time.Duration, entries string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if n := h.count(t, `mailweir_state_entries{place="file"}`); n != entries {
				t.Errorf("%s entries in the file, want %s", n, entries)
			}
		}
		in(5*time.Minute, "3501")
		in(7*time.Minute, "1")
		want(t, h, "long", "v")
	})
}

// In the background, what has ended goes in bounded steps.
func TestSweepSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 5000, filepath.Join(t.TempDir(), "state"))
		defer h.mustClose(t)
		for i := range 3500 {
			h.Put(fmt.Sprint(i), []byte("v"), 10*time.Minute)
		}
		seen := map[string]bool{}
		for range 13 * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			seen[h.count(t, `mailweir_state_entries{place="file"}`)] = true
		}
		for _, n := range []string{"3500", "2500", "1500", "500", "0"} {
			if !seen[n] {
				t.Errorf("never %s entries: %v", n, seen)
			}
		}
		if len(seen) != 5 {
			t.Errorf("other numbers of entries: %v", seen)
		}
	})
}

// Those who put faster than the disk takes it are not made to wait.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 100_000, filepath.Join(t.TempDir(), "state"))
		defer h.mustClose(t)
		for i := range 20_010 {
			h.Put(fmt.Sprint(i), []byte("v"), time.Hour)
		}
		h.Put("7", []byte("w"), time.Hour)
		if n := h.count(t, `mailweir_state_lost_total{reason="queue_full"}`); n != "10" {
			t.Errorf("%s entries found no room in the queue, want 10", n)
		}
		want(t, h, "20009", "v")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := h.count(t, `mailweir_state_entries{place="file"}`); n != "20000" {
			t.Errorf("%s entries in the file", n)
		}
		for i := range 700 {
			h.Put(fmt.Sprint(i), make([]byte, 60_000), time.Hour)
		}
		if n := h.count(t, `mailweir_state_lost_total{reason="queue_full"}`); n != "153" {
			t.Errorf("%s entries found no room in the queue, want 143 more", n)
		}
	})
}

func TestDamagedFile(t *testing.T) {
	filled := func(t *testing.T) (string, []byte) {
		file := filepath.Join(t.TempDir(), "state")
		h := open(t, 2000, file)
		for i := range 2000 {
			h.Put(fmt.Sprintf("key/%d", i), []byte(strings.Repeat("v", 100)), time.Hour)
		}
		h.mustClose(t)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return file, data
	}
	for name, damage := range map[string]func([]byte) []byte{
		"text":      func([]byte) []byte { return []byte("Hello, world!\n") },
		"zeros":     func(b []byte) []byte { return make([]byte, len(b)) },
		"one page":  func(b []byte) []byte { return b[:4096] },
		"truncated": func(b []byte) []byte { return b[:3*4096] },
		"half":      func(b []byte) []byte { return b[:len(b)/3] },
		"scribbled": func(b []byte) []byte {
			for i := 2 * 4096; i < len(b); i += 512 {
				copy(b[i:], "scribbled over")
			}
			return b
		},
		"pages": func(b []byte) []byte {
			for i := 2 * 4096; i < len(b); i++ {
				b[i] = 0xff
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, data := filled(t)
			if err := os.WriteFile(file, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			h := open(t, 2000, file)
			if log := h.log.Take(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, ".broken-") {
				t.Errorf("log: %s", log)
			}
			if aside, _ := filepath.Glob(file + ".broken-*"); len(aside) != 1 {
				t.Errorf("set aside: %v", aside)
			}
			h.Put("key/1", []byte("new"), time.Hour)
			h.mustClose(t)
			h = open(t, 2000, file)
			defer h.mustClose(t)
			want(t, h, "key/1", "new")
			wantNone(t, h, "key/2")
			h.quiet(t)
		})
	}
}

// A file that shrinks under our feet must not take the process with it.
func TestDamagedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		h := open(t, 2000, file)
		for i := range 2000 {
			h.Put(fmt.Sprint(i), []byte(strings.Repeat("v", 100)), time.Hour)
		}
		h.mustClose(t)
		h = open(t, 2000, file)
		if err := os.Truncate(file, 4096); err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			wantNone(t, h, fmt.Sprint(i))
		}
		h.Put("new", []byte("v"), time.Hour)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		want(t, h, "new", "v")
		h.mustClose(t)
		if log := h.log.Take(); strings.Count(log, "level=ERROR") != 1 {
			t.Errorf("log: %s", log)
		}
	})
}

func TestForeignFile(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	db, err := bbolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		other:                           "is no state file of mailweir: name another one",
		dir:                             "is no state file of mailweir: name another one",
		filepath.Join(dir, "no", "dir"): "make the folder " + filepath.Join(dir, "no") + " first",
	} {
		h := newHost(10)
		err := h.Open(name)
		if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v", err)
		}
		h.mustClose(t)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%v", files)
	}
}

func TestFileInUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	first := open(t, 10, file)
	defer first.mustClose(t)
	second := newHost(10)
	start := time.Now()
	err := second.Open(file)
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "in use by another process") {
		t.Error(err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// A disk that takes no more is logged once, and disturbs neither Get nor Put.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		h := open(t, 50_000, file)
		restore := limitFiles(t)
		fill := func() {
			for i := range 2000 {
				h.Put(fmt.Sprint(i), []byte(strings.Repeat("v", 1000)), time.Hour)
			}
		}
		fill()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		fill()
		want(t, h, "1999", strings.Repeat("v", 1000))
		if log := h.log.Take(); strings.Count(log, "level=WARN") != 1 {
			t.Errorf("log: %s", log)
		}
		restore()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if log := h.log.Take(); !strings.Contains(log, "is written again") {
			t.Errorf("log: %s", log)
		}
		h.mustClose(t)
		h = open(t, 50_000, file)
		defer h.mustClose(t)
		want(t, h, "7", strings.Repeat("v", 1000))
	})
}

// limitFiles makes files that grow fail, until restore is called.
func limitFiles(t *testing.T) (restore func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// What was written a second ago is there after the process was killed.
func TestKilled(t *testing.T) {
	if file := os.Getenv("STORE_TEST_FILE"); file != "" {
		writeUntilKilled(t, file)
	}
	file := filepath.Join(t.TempDir(), "state")
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "STORE_TEST_FILE="+file)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	child.Process.Kill()
	child.Wait()
	h := open(t, 10_000, file)
	defer h.mustClose(t)
	for i := range 100 {
		want(t, h, fmt.Sprint("first/", i), "v")
	}
	h.quiet(t)
}

// writeUntilKilled tells when the first entries are in the file, and goes on
// writing.
func writeUntilKilled(t *testing.T, file string) {
	h := open(t, 10_000, file)
	for i := range 100 {
		h.Put(fmt.Sprint("first/", i), []byte("v"), time.Hour)
	}
	for n := 0; ; n++ {
		h.Put(fmt.Sprint(n%9000), []byte("v"), time.Hour)
		if n%1000 == 0 && h.count(t, `mailweir_state_entries{place="file"}`) >= "1" {
			fmt.Println("written")
		}
	}
}

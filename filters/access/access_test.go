package access_test

import (
	"bufio"
	"context"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/access"
	"github.com/mailweir/mailweir/filters/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func connect(f filters.ConnectFilter, client string) string {
	return filtertest.Show(f.Connect(context.Background(), filtertest.Session(client)))
}

const (
	allowed = "accept allowed"
	denied  = "554 5.7.1 denied"
)

func TestConnect(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "friends"), "198.51.100.0/24\n")
	write(t, filepath.Join(dir, "foes"), "203.0.113.0/24 ; bad\n2001:db8:bad::/48\n")
	env, _ := filtertest.Env(dir)
	f := filtertest.New[filters.ConnectFilter](t, env, access.Kind, `
allow: [192.0.2.7]
deny: [192.0.2.0/24, 198.51.100.66, "2001:db8:1::/48"]
allow_files: [friends]
deny_files: [foes]
`)
	for client, want := range map[string]string{
		"192.0.2.7":         allowed,
		"192.0.2.8":         denied,
		"::ffff:192.0.2.8":  denied,
		"198.51.100.66":     allowed, // the wider allow entry comes first
		"203.0.113.9":       denied,
		"2001:db8:1::1":     denied,
		"2001:db8:bad::1":   denied,
		"2001:db8:2::1":     "continue",
		"100.64.0.1":        "continue",
		"fe80::1%interface": "continue",
	} {
		if got := connect(f, client); got != want {
			t.Errorf("%s: %s, want %s", client, got, want)
		}
	}
}

func TestConnectDoesNotAllocate(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "foes"), "203.0.113.0/24\n")
	env, _ := filtertest.Env(dir)
	f := filtertest.New[filters.ConnectFilter](t, env, access.Kind, "{allow: [192.0.2.7], deny_files: [foes]}")
	nobody, friend := filtertest.Session("100.64.0.1"), filtertest.Session("192.0.2.7")
	n := testing.AllocsPerRun(100, func() {
		f.Connect(context.Background(), nobody)
		f.Connect(context.Background(), friend)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOptionErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "broken"), "192.0.2.1\nnonsense\n")
	env, _ := filtertest.Env(dir)
	for options, want := range map[string]string{
		"deny: [192.0.2.1/24]":                "write 192.0.2.0/24",
		"deny_files: [broken]":                filepath.Join(dir, "broken") + `:2: "nonsense" is neither`,
		"allow_files: [gone]":                 "gone: no such file",
		"reload: 3ms":                         "reload: 3ms is too short",
		"denny: [192.0.2.1]":                  "denny",
		"{allow_files: [a], deny_files: [b]}": "b: no such file",
	} {
		_, err := filtertest.Build(env, access.Kind, options)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", options, err, want)
		}
	}
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "foes")
		write(t, path, "192.0.2.1\n")
		env, log := filtertest.Env(dir)
		f := filtertest.New[filters.ConnectFilter](t, env, access.Kind, "{deny_files: [foes], reload: 5s}")

		expect := func(what, first, second string) {
			t.Helper()
			time.Sleep(11 * time.Second)
			synctest.Wait()
			if got := connect(f, "192.0.2.1"); got != first {
				t.Errorf("%s: 192.0.2.1 %s, want %s", what, got, first)
			}
			if got := connect(f, "192.0.2.22"); got != second {
				t.Errorf("%s: 192.0.2.22 %s, want %s", what, got, second)
			}
		}
		expect("at first", denied, "continue")

		write(t, path+".new", "192.0.2.22\n")
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		expect("renamed over", "continue", denied)

		log.Take()
		write(t, path, "192.0.2.1\n192.0.2.300\n")
		expect("broken", "continue", denied)
		expect("still broken", "continue", denied)
		if logged := log.Take(); strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "foes:2:") {
			t.Errorf("a broken file logged %q, want one record that names its line", logged)
		}
	})
}

func TestReloadNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "foes")
		write(t, path, "192.0.2.1\n")
		env, _ := filtertest.Env(dir)
		f := filtertest.New[filters.ConnectFilter](t, env, access.Kind, "{deny_files: [foes], reload: 0s}")
		write(t, path, "")
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := connect(f, "192.0.2.1"); got != denied {
			t.Errorf("after the change: %s, want %s", got, denied)
		}
	})
}

func TestMillionLines(t *testing.T) {
	if testing.Short() {
		t.Skip("a big file")
	}
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "foes"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	for i := range 1_000_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		w.Write(append(a.AppendTo(w.AvailableBuffer()), '\n'))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	file.Close()

	env, _ := filtertest.Env(dir)
	began := time.Now()
	f := filtertest.New[filters.ConnectFilter](t, env, access.Kind, "deny_files: [foes]")
	t.Logf("read in %v", time.Since(began))
	for client, want := range map[string]string{
		"10.0.0.0":     denied,
		"10.15.66.63":  denied, // the last
		"10.15.66.64":  "continue",
		"10.200.0.200": "continue",
	} {
		if got := connect(f, client); got != want {
			t.Errorf("%s: %s, want %s", client, got, want)
		}
	}
}

func TestCloseEndsTheWatch(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "foes"), "192.0.2.1\n")
	env, _ := filtertest.Env(dir)
	f, err := filtertest.Build(env, access.Kind, "deny_files: [foes]")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.(io.Closer).Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t)
}

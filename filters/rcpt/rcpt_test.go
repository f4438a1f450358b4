package rcpt_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/rcpt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	outside = "192.0.2.1"
	denied  = "550 5.7.1 relay_denied"
	tooMany = "452 4.5.3 too_many_recipients"
)

// ask asks about one more recipient of a transaction that has some.
func ask(f filters.RcptFilter, client string, has int, to string) string {
	t := &filters.Transaction{Session: filtertest.Session(client), Rcpts: make([]*filters.Path, has)}
	return filtertest.Show(f.Rcpt(context.Background(), t, filtertest.Path(to)))
}

func TestDomains(t *testing.T) {
	env, _ := filtertest.Env("")
	const ours = "{domains: [Example.com, .example.net, exämple.org]}"
	for _, c := range []struct{ options, client, to, want string }{
		{"", outside, "user@elsewhere.test", "continue"},
		{"", outside, "user%elsewhere.test@example.com", "continue"},
		{ours, outside, "user@example.COM", "continue"},
		{ours, outside, "user@sub.example.com", denied},
		{ours, outside, "user@example.net", "continue"},
		{ours, outside, "user@a.b.example.net", "continue"},
		{ours, outside, "user@notexample.net", denied},
		{ours, outside, "user@exämple.org", "continue"},
		{ours, outside, "user@xn--exmple-cua.org", "continue"},
		{ours, outside, "user@elsewhere.test", denied},
		{ours, outside, "user@example.com.elsewhere.test", denied},
		{ours, outside, "user@[203.0.113.25]", denied},
		{ours, outside, "Postmaster", "continue"},
		{ours, outside, "user", denied},
		{ours, outside, "user%elsewhere.test@example.com", denied},
		{ours, outside, "elsewhere.test!user@example.com", denied},
		{ours, outside, "@example.com:user@elsewhere.test@example.com", denied},
		{"{domains: [example.com], routed_local_parts: true}", outside, "a%b@example.com", "continue"},
		{ours, "127.0.0.1", "user@elsewhere.test", "continue"},
		{ours, "::1", "user%elsewhere.test@example.com", "continue"},
		{"{domains: [example.com], relay_from: [192.0.2.0/24]}", outside, "user@elsewhere.test", "continue"},
		{"{domains: [example.com], relay_from: []}", "127.0.0.1", "user@elsewhere.test", denied},
	} {
		f := filtertest.New[filters.RcptFilter](t, env, rcpt.Kind, c.options)
		if got := ask(f, c.client, 0, c.to); got != c.want {
			t.Errorf("{%s} %s to %s: %s, want %s", c.options, c.client, c.to, got, c.want)
		}
	}
}

func TestMax(t *testing.T) {
	env, _ := filtertest.Env("")
	for _, c := range []struct {
		options string
		has     int
		to      string
		want    string
	}{
		{"", 999, "user@example.com", "continue"},
		{"", 1000, "user@example.com", tooMany},
		{"max: 1", 0, "user@example.com", "continue"},
		{"max: 1", 1, "user@example.com", tooMany},
		{"{max: 1, domains: [example.com]}", 1, "user@elsewhere.test", denied},
	} {
		f := filtertest.New[filters.RcptFilter](t, env, rcpt.Kind, c.options)
		if got := ask(f, outside, c.has, c.to); got != c.want {
			t.Errorf("{%s} with %d recipients: %s, want %s", c.options, c.has, got, c.want)
		}
		var a filters.Announcement
		f.(filters.Announcer).Announce(&a)
		if c.options == "max: 1" && a.Rcpts != 1 {
			t.Errorf("{%s} announces a limit of %d", c.options, a.Rcpts)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "broken"), []byte("example.com\nuser@example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	env, _ := filtertest.Env(dir)
	for options, want := range map[string]string{
		"max: 0":                        "would refuse all mail",
		`domains: ["*.example.com"]`:    `write ".example.com"`,
		"domains_files: [broken]":       "broken:2: ",
		"domains_files: [gone]":         "gone: no such file",
		"relay_from: [10.0.0.1/8]":      "write 10.0.0.0/8",
		"{domains: [a.b], reload: 2h1}": "2h1",
		"reload: -1s":                   "too short",
	} {
		_, err := filtertest.Build(env, rcpt.Kind, options)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", options, err, want)
		}
	}
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "domains")
		write := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("example.com\n")
		env, _ := filtertest.Env(dir)
		f := filtertest.New[filters.RcptFilter](t, env, rcpt.Kind, "domains_files: [domains]")
		if got := ask(f, outside, 0, "user@sub.example.net"); got != denied {
			t.Errorf("at first: %s, want %s", got, denied)
		}
		write("example.com\n.example.net\n")
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if got := ask(f, outside, 0, "user@sub.example.net"); got != "continue" {
			t.Errorf("after the change: %s", got)
		}
	})
}

func TestRcptDoesNotAllocate(t *testing.T) {
	env, _ := filtertest.Env("")
	f := filtertest.New[filters.RcptFilter](t, env, rcpt.Kind, "domains: [example.com, .example.net]")
	tx := &filters.Transaction{Session: filtertest.Session(outside)}
	exact, below, postmaster := filtertest.Path("user@Example.COM"), filtertest.Path("user@a.b.example.net"), filtertest.Path("postmaster")
	n := testing.AllocsPerRun(100, func() {
		f.Rcpt(context.Background(), tx, exact)
		f.Rcpt(context.Background(), tx, below)
		f.Rcpt(context.Background(), tx, postmaster)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A client that has logged in at the MTA that asks may send to any domain.
func TestLogin(t *testing.T) {
	env, _ := filtertest.Env("")
	f := filtertest.New[filters.RcptFilter](t, env, rcpt.Kind, "{domains: [example.com]}")
	for auth, want := range map[string]string{"": denied, "PLAIN": "continue"} {
		s := filtertest.Session(outside)
		s.AuthType = auth
		v := f.Rcpt(context.Background(), &filters.Transaction{Session: s}, filtertest.Path("user@elsewhere.test"))
		if got := filtertest.Show(v); got != want {
			t.Errorf("login by %q: %s, want %s", auth, got, want)
		}
	}
}

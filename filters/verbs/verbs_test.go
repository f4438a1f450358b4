package verbs_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/verbs"
)

type filter interface {
	filters.CommandFilter
	filters.Announcer
}

func TestCommand(t *testing.T) {
	env, _ := filtertest.Env("")
	const (
		vrfy252 = "252 2.0.0 vrfy"
		vrfy502 = "502 5.5.1 vrfy"
		expn502 = "502 5.5.1 expn"
		blocked = "502 5.5.1 blocked"
	)
	for _, c := range []struct {
		options string
		want    map[string]string // verdict by verb
		hidden  []string
	}{
		{"", map[string]string{"VRFY": vrfy252, "EXPN": expn502, "ETRN": "continue", "XYZZY": "continue"}, []string{"EXPN"}},
		{"vrfy: 502", map[string]string{"VRFY": vrfy502, "EXPN": expn502}, []string{"VRFY", "EXPN"}},
		{`{vrfy: "relay", expn: relay}`, map[string]string{"VRFY": "continue", "EXPN": "continue"}, nil},
		{"{expn: relay, block: [etrn, HELP, Auth, XYZZY]}",
			map[string]string{"VRFY": vrfy252, "EXPN": "continue", "ETRN": blocked, "HELP": blocked, "AUTH": blocked, "XYZZY": blocked},
			[]string{"ETRN", "HELP", "AUTH"}},
		{"block: [VRFY, EXPN]", map[string]string{"VRFY": blocked, "EXPN": blocked}, []string{"EXPN", "VRFY"}},
	} {
		f := filtertest.New[filter](t, env, verbs.Kind, c.options)
		for verb, want := range c.want {
			if got := filtertest.Show(f.Command(context.Background(), filtertest.Session("192.0.2.1"), verb, "")); got != want {
				t.Errorf("{%s} %s: %s, want %s", c.options, verb, got, want)
			}
		}
		var a filters.Announcement
		f.Announce(&a)
		if !slices.Equal(a.Hide, c.hidden) {
			t.Errorf("{%s} hides %q, want %q", c.options, a.Hide, c.hidden)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	env, _ := filtertest.Env("")
	for options, want := range map[string]string{
		"vrfy: 250":            `"250" is none of ["252" "502" "relay"]`,
		`expn: "252"`:          `"252" is none of ["502" "relay"]`,
		"block: [data]":        "DATA cannot be blocked: mail does not work without it",
		"block: [STARTTLS]":    "STARTTLS cannot be blocked",
		"block: [BDAT]":        "BDAT cannot be blocked here",
		`block: ["RCPT TO"]`:   "is not a verb",
		`block: [""]`:          "is not a verb",
		"block: [ETRN, rset]":  "RSET cannot be blocked",
		"block: [\"ETRN\\r\"]": "is not a verb",
	} {
		_, err := filtertest.Build(env, verbs.Kind, options)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", options, err, want)
		}
	}
}

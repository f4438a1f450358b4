package proxy_test

import (
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// TestMilterSlow has filters take their time. At the end of the message the
// MTA is told that they are at work, and waits; earlier it cannot be told. No
// message slips through unfiltered.
func TestMilterSlow(t *testing.T) {
	no := filters.Refuse("no", 550, [3]uint16{5, 7, 1}, "First line\nsecond line, 100%")
	for _, kind := range mtas {
		for _, test := range []struct {
			name  string
			hasty bool
			stage filters.Stage
			wait  time.Duration
			codes string
			fate  string
		}{
			{"mail", false, filters.Mail, 1500 * time.Millisecond, "220 250 550", ""},
			{"rcpt", false, filters.Rcpt, 1500 * time.Millisecond, "220 250 250 550", ""},
			{"mail, MTA in haste", true, filters.Mail, 3 * time.Second, "220 250 451", ""},
			{"end", true, filters.EOM, 3 * time.Second, "220 250 250 250 354 550", ""},
			{"end, accepted", true, filters.EOM, 3 * time.Second, "", passes},
		} {
			t.Run(kind.name+" "+test.name, func(t *testing.T) {
				t.Parallel()
				s := newTheatre(t, kind, filters.Connect, mtaOptions{hasty: test.hasty})
				play := at(test.stage, no)
				if test.fate != "" {
					play = script{}
				}
				play.slow = map[filters.Stage]time.Duration{test.stage: test.wait}
				s.play(play, script{})
				if test.fate != "" {
					if got := s.fate(t); got != test.fate {
						t.Errorf("%s, want %s", got, test.fate)
					}
					return
				}
				k := converse(t, s.mta.Address(), "", "", plainCommands)
				if k.codes != test.codes {
					t.Errorf("the client heard %s, want %s; the refusal was %q", k.codes, test.codes, k.refusal)
				}
				s.mta.Settle(t, time.Minute)
				if n := len(s.sink.Messages()); n > 0 {
					t.Errorf("%d messages arrived", n)
				}
			})
		}
	}
}

package chain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

func TestWording(t *testing.T) {
	say := func(a filters.Action, code uint16, enh uint16, text string) filters.Verdict {
		return filters.Verdict{Action: a, Finding: &filters.Finding{
			Reply: filters.Reply{Code: code, Enh: [3]uint16{enh, 1, 8}, Text: text}}}
	}
	for _, tc := range []struct {
		name   string
		v      filters.Verdict
		action chain.Action
		want   string
	}{
		{"own words", say(filters.Reject, 553, 5, "No"), chain.Enforce, "553 5.1.8 No (id S1.1)"},
		{"no enhanced code", say(filters.Reject, 553, 0, "No"), chain.Enforce, "553 No (id S1.1)"},
		{"4xx for reject", say(filters.Reject, 450, 4, "No"), chain.Enforce, "550 5.1.8 No (id S1.1)"},
		{"2xx for reject", say(filters.Reject, 250, 2, "No"), chain.Enforce, "550 5.1.8 No (id S1.1)"},
		{"enhanced class differs", say(filters.Reject, 550, 4, "No"), chain.Enforce, "550 5.1.8 No (id S1.1)"},
		{"5xx for tempfail", say(filters.TempFail, 550, 5, "No"), chain.Enforce, "451 4.1.8 No (id S1.1)"},
		{"5xx for hangup", say(filters.Hangup, 550, 5, "No"), chain.Enforce, "521 5.1.8 No (id S1.1)"},
		{"4xx for hangup", say(filters.Hangup, 450, 5, "No"), chain.Enforce, "421 4.1.8 No (id S1.1)"},
		{"drop", say(filters.Reject, 553, 5, "No"), chain.Drop, "521 5.1.8 No (id S1.1)"},
		{"drop for now", say(filters.TempFail, 450, 4, "No"), chain.Drop, "421 4.1.8 No (id S1.1)"},
		{"two lines", say(filters.Reject, 550, 5, "No\nSee https://example.net/\n"), chain.Enforce, "550 5.1.8 No / See https://example.net/ (id S1.1)"},
		{"no text", say(filters.Reject, 550, 5, ""), chain.Enforce, "550 5.1.8 (id S1.1)"},
		{"control characters", say(filters.Reject, 550, 5, "No \r\n250 \x00ok\x7f"), chain.Enforce, "550 5.1.8 No ? / 250 ?ok? (id S1.1)"},
		{"by default", verdict(filters.Reject), chain.Enforce, "550 5.7.1 Refused by policy (id S1.1)"},
		{"by default for now", verdict(filters.TempFail), chain.Enforce, "451 4.7.1 Please try again later (id S1.1)"},
		{"by default hangup", verdict(filters.Hangup), chain.Enforce, "421 4.7.1 Closing connection, please try again later (id S1.1)"},
		{"no finding", filters.Verdict{Action: filters.Reject}, chain.Enforce, "550 5.7.1 Refused by policy (id S1.1)"},
		{"failed", filters.Failed(errBoom), chain.Enforce, "451 4.3.0 Temporary failure of a check, please try again later (id S1.1)"},
		{"failed, drop", filters.Failed(errBoom), chain.Drop, "421 4.3.0 Temporary failure of a check, please try again later (id S1.1)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := start(t, filters.Connect, one(answers{filters.Mail: tc.v}, doing(tc.action)))
			d := k.until(filters.Mail)
			if got := d.Reply.String(); got != tc.want {
				t.Errorf("reply = %q\nwant    %q", got, tc.want)
			}
			for _, r := range k.records() {
				if r.str("msg") == "refused" && (r.str("id") != "S1.1" || r.str("reply") != tc.want) {
					t.Errorf("record = %v, want the reply as told", r)
				}
			}
		})
	}
}

// A sender quotes the id of the refusal; the operator must find it.
func TestIDInTextAndLog(t *testing.T) {
	for _, delay := range []filters.Stage{filters.Connect, filters.Helo, filters.Mail, filters.Rcpt} {
		for _, stage := range dialogue {
			t.Run(fmt.Sprintf("%v/%v", delay, stage), func(t *testing.T) {
				k := start(t, delay, one(answers{stage: reject()}))
				var d chain.Decision
				for _, s := range dialogue {
					if s == filters.Command && stage != filters.Command {
						continue // it would be told of what is held
					}
					if d = k.ask(s); d.Refuses() {
						break
					}
				}
				if k.Transaction() != nil {
					k.Done(told(d))
				}
				r := k.only("refused")
				if want := "(id " + r.str("id") + ")"; !strings.HasSuffix(d.Reply.Text, want) {
					t.Errorf("text %q, log %v", d.Reply.Text, r)
				}
				if r.str("reply") != d.Reply.String() {
					t.Errorf("reply in the log = %q, told %q", r.str("reply"), d.Reply)
				}
			})
		}
	}
}

// At Command the reply is the answer to the verb, of any class.
func TestAnswersAtCommand(t *testing.T) {
	for _, tc := range []struct {
		v      filters.Verdict
		action chain.Action
		want   string
		log    string
	}{
		{filters.Refuse("verb", 502, [3]uint16{5, 5, 1}, "Not implemented"), chain.Enforce, "502 5.5.1 Not implemented (id S1)", "refused"},
		{filters.Refuse("verb", 252, [3]uint16{2, 1, 5}, "Try it"), chain.Enforce, "252 2.1.5 Try it", ""},
		{filters.Refuse("verb", 252, [3]uint16{2, 1, 5}, "Try it"), chain.Drop, "252 2.1.5 Try it", ""},
		{filters.Refuse("verb", 250, [3]uint16{}, "Ok"), chain.Enforce, "250 Ok", ""},
		{filters.Refuse("verb", 502, [3]uint16{5, 5, 1}, "No"), chain.Drop, "521 5.5.1 No (id S1)", "refused"},
		{filters.Refuse("verb", 454, [3]uint16{4, 7, 0}, "Later"), chain.Enforce, "454 4.7.0 Later (id S1)", "refused"},
		{filters.Refuse("verb", 502, [3]uint16{4, 5, 1}, "No"), chain.Enforce, "502 5.5.1 No (id S1)", "refused"},
	} {
		k := start(t, filters.Rcpt, one(answers{filters.Command: tc.v}, doing(tc.action)))
		d := k.until(filters.Command)
		if d.Reply.String() != tc.want || d.Action == filters.Continue {
			t.Errorf("answer = %v %q, want %q", d.Action, d.Reply, tc.want)
		}
		if got := k.messages(); got != tc.log {
			t.Errorf("%s: log = %q, want %q", tc.want, got, tc.log)
		}
	}
}

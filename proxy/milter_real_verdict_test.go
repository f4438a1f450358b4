package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

// allOfMail are the stages that a message passes.
var allOfMail = []filters.Stage{
	filters.Connect, filters.Helo, filters.Mail, filters.Rcpt, filters.Data, filters.EOH, filters.Body, filters.EOM,
}

// milterRefuses are the verdicts that refuse. Their replies have two lines.
var milterRefuses = []filters.Verdict{
	filters.Refuse("no", 550, [3]uint16{5, 7, 1}, "First line\nsecond line, 100%"),
	filters.Refuse("later", 450, [3]uint16{4, 7, 1}, "First line\nsecond line, 100%"),
	filters.Refuse("bye", 421, [3]uint16{4, 7, 0}, "First line\nsecond line, 100%"),
}

// TestMilterVerdicts refuses at every stage.
func TestMilterVerdicts(t *testing.T) {
	for _, kind := range mtas {
		for _, delay := range []filters.Stage{filters.Connect, filters.Rcpt} {
			t.Run(fmt.Sprintf("%s, delay %v", kind.name, delay), func(t *testing.T) {
				s := newTheatre(t, kind, delay, mtaOptions{})
				for _, stage := range allOfMail {
					for _, v := range milterRefuses {
						t.Run(fmt.Sprint(v.Finding.Reply.Code, " at ", stage), func(t *testing.T) {
							s.play(at(stage, v), script{})
							s.refuses(t, expect(kind, delay, stage, v))
						})
					}
				}
				if n := len(s.sink.Messages()); n > 0 {
					t.Errorf("%d messages arrived", n)
				}
			})
		}
	}
}

// A refused is what the client hears of a refusal.
type refused struct {
	codes string // as in a talk
	lines string // with which the lines of the refusal begin; "" if the MTA has words of its own
}

// expect says what a client hears who is refused by v at that stage.
func expect(kind mtaKind, delay, stage filters.Stage, v filters.Verdict) refused {
	reply := v.Finding.Reply
	lines := fmt.Sprintf("%d %d.%d.%d ", reply.Code, reply.Enh[0], reply.Enh[1], reply.Enh[2])
	if v.Action == filters.Hangup { // at once
		switch stage {
		case filters.Connect:
			return refused{"421 closed", ""}
		case filters.Helo:
			return refused{"220 421 closed", lines}
		}
		return refused{untilRefused(stage) + "421 closed", lines}
	}
	stage = max(stage, delay)
	switch {
	case stage != filters.Connect:
		return refused{fmt.Sprint(untilRefused(stage), reply.Code), lines}
	case kind.name == sendmail && v.Action == filters.TempFail:
		return refused{"220 250 451", ""}
	case kind.name == sendmail:
		return refused{"554 250 550", ""}
	case v.Action == filters.TempFail:
		return refused{"220 250 450", lines}
	}
	return refused{"554 250 550", lines}
}

// untilRefused are the codes before a refusal. HELO is not refused, but all that
// follows.
func untilRefused(s filters.Stage) string {
	return map[filters.Stage]string{
		filters.Connect: "",
		filters.Helo:    "220 250 ",
		filters.Mail:    "220 250 ",
		filters.Rcpt:    "220 250 250 ",
		filters.Data:    "220 250 250 250 ",
		filters.EOH:     "220 250 250 250 354 ",
		filters.Body:    "220 250 250 250 354 ",
		filters.EOM:     "220 250 250 250 354 ",
	}[s]
}

// refuses holds a session and compares what the client hears, and what is
// logged.
func (s *theatre) refuses(t *testing.T, want refused) {
	t.Helper()
	k := converse(t, s.mta.Address(), "", "", plainCommands)
	refusal := k.refusal
	if k.codes != want.codes {
		t.Errorf("the client heard %s, want %s; the refusal was %q", k.codes, want.codes, refusal)
	}
	var log []string
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, " msg=refused ") && strings.Contains(line, " client="+k.client.Addr()+" ") {
			log = append(log, line)
		}
	}
	if len(log) != 1 {
		t.Fatalf("%d records of a refusal in the log, want one: %q", len(log), log)
	}
	if want.lines == "" {
		return
	}
	for i, line := range strings.Split(strings.TrimSuffix(refusal, "\r\n"), "\r\n") {
		text := []string{"First line", "second line, 100% (id "}[min(i, 1)]
		if !strings.HasPrefix(line[:3]+" "+line[4:], want.lines) || !strings.Contains(line, text) {
			t.Errorf("line %d of the refusal is %q, want %q and %q", i+1, line, want.lines, text)
		}
	}
	if id := quotedID.FindStringSubmatch(refusal); id == nil || !strings.Contains(log[0], " id="+id[1]+" ") {
		t.Errorf("not the same id in the reply %q and the record %q", refusal, log[0])
	}
}

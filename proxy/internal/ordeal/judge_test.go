package ordeal

import (
	"strings"
	"testing"
	"time"
)

// A ledger of one message to one recipient, and what is wrong with it.
func TestJudge(t *testing.T) {
	const ack = "250 2.0.0 taken m0.a0\r\n"
	now := time.Now()
	rcpts := Rcpts(0)
	acknowledged := Attempt{Outcome: Acknowledged, Reply: ack, Rcpts: rcpts}
	unanswered := Attempt{Outcome: Lost, Rcpts: rcpts, Dot: now, Ended: now.Add(time.Second)}
	putOff := Attempt{Outcome: Deferred, Reply: "451 4.4.2 Later\r\n", Rcpts: rcpts, Dot: now, Ended: now.Add(time.Second)}
	said := Take{Rcpts: rcpts, said: true}
	with := func(a Attempt, change func(*Attempt)) Attempt { change(&a); return a }
	for _, test := range []struct {
		name     string
		attempt  Attempt
		takes    []Take
		refusals []string
		kill     time.Time
		log      string // of the relay
		want     string // part of the problem, "" for none
	}{
		{name: "delivered", attempt: acknowledged, takes: []Take{said}},
		{name: "lost", attempt: acknowledged, want: "LOST"},
		{name: "cut", attempt: acknowledged, takes: []Take{{Rcpts: rcpts, said: true, Fault: "cut"}}, want: "not what was sent: cut"},
		{name: "twice", attempt: acknowledged, takes: []Take{said, said}, want: "twice"},
		{name: "a false 250", attempt: acknowledged, takes: []Take{{Rcpts: rcpts}}, want: "before the upstream had said so"},
		{name: "another's 250", attempt: with(acknowledged, func(a *Attempt) { a.Reply = "250 2.0.0 taken m0.a01\r\n" }),
			takes: []Take{said}, want: "the reply to another message"},
		{name: "a recipient fewer", attempt: acknowledged, takes: []Take{{said: true}}, want: "the client was told that"},
		{name: "refused", attempt: with(acknowledged, func(a *Attempt) { a.Outcome, a.Reply = Refused, "554 No\r\n" }),
			refusals: []string{"554 No\r\n"}},
		{name: "refused by the relay", attempt: with(acknowledged, func(a *Attempt) { a.Outcome, a.Reply = Refused, "554 No\r\n" }),
			refusals: []string{"554 Not\r\n"}, want: "not by the upstream"},
		{name: "a recipient refused by the relay", attempt: Attempt{Outcome: Deferred, Bounced: []Refusal{{rcpts[0], "550 No\r\n"}}},
			want: "not by the upstream"},
		{name: "given up", attempt: putOff, want: "come to no end"},
		{name: "killed", attempt: unanswered, takes: []Take{said}, kill: now.Add(time.Millisecond), want: "come to no end"},
		{name: "killed before", attempt: unanswered, takes: []Take{said}, kill: now.Add(-time.Millisecond), want: "its 250 went out"},
		{name: "killed, and yet put off", attempt: putOff, takes: []Take{said}, kill: now.Add(time.Millisecond), want: "its 250 went out"},
		{name: "killed, though it ended the transaction", attempt: unanswered, takes: []Take{said}, kill: now.Add(time.Millisecond),
			log: record("aborted", `,"seconds":0.1`), want: "has logged \"aborted\""},
		{name: "killed, having refused a recipient", attempt: unanswered, takes: []Take{said}, kill: now.Add(time.Millisecond),
			log: record("refused", ""), want: "message 0 has come to no end for a@test.example"},
		{name: "told, by the log", attempt: unanswered, takes: []Take{said}, kill: now.Add(time.Millisecond),
			log: record("accepted", `,"seconds":0.1`), want: "has logged that it passed the 250 on"},
		{name: "told, by a record that was cut", attempt: acknowledged, takes: []Take{said}, log: record("accepted", "")[:30]},
		{name: "not confirmed", attempt: putOff, takes: []Take{said}, want: "its 250 went out"},
		{name: "another's", attempt: with(acknowledged, func(a *Attempt) { a.Client = identity("192.0.2.1", "one.test.example") }),
			takes: []Take{{Rcpts: rcpts, said: true, Client: identity("192.0.2.2", "one.test.example")}}, want: "the upstream was told of"},
		{name: "refused, as others were by LMTP", attempt: with(acknowledged, func(a *Attempt) { a.Outcome, a.Reply, a.Dot = Refused, "554 No\r\n", now }),
			takes: []Take{{Rcpts: rcpts, Partly: "5xx"}}, refusals: []string{"554 No\r\n"}},
		{name: "refused, and no other was by LMTP", attempt: with(acknowledged, func(a *Attempt) { a.Outcome, a.Reply, a.Dot = Refused, "554 No\r\n", now }),
			takes: []Take{{Rcpts: rcpts}}, refusals: []string{"554 No\r\n"}, want: "its 250 went out"},
		{name: "hung up", attempt: Attempt{Outcome: HungUp}, takes: []Take{said}, want: "left inside of the text"},
		{name: "nobody's", attempt: acknowledged, takes: []Take{said, {Key: Key{0, 7}}}, want: "no client has sent it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := &Ledger{Patience: time.Minute, kills: []death{{test.kill, test.kill}}}
			l.tried(test.attempt)
			for _, take := range test.takes {
				l.took(&take)
			}
			for _, text := range test.refusals {
				l.refused(text)
			}
			l.ReadLog([]byte(test.log))
			problems := strings.Join(l.Judge(1).Problems, "; ")
			if (test.want == "") != (problems == "") || !strings.Contains(problems, test.want) {
				t.Errorf("the problems are %q, want one with %q", problems, test.want)
			}
		})
	}
}

// record is a line of the relay's log about the first attempt.
func record(msg, more string) string {
	return `{"msg":"` + msg + `","from":"` + Key{}.Sender() + `"` + more + "}\n"
}

// A kill takes its time: what passes between the order and the end of the relay
// is of that kill.
func TestJudgeDeath(t *testing.T) {
	now := time.Now()
	at := func(ms time.Duration) time.Time { return now.Add(ms * time.Millisecond) }
	l := &Ledger{kills: []death{{at(10), at(20)}}}
	for _, test := range []struct {
		dot, ended time.Duration
		want       string
	}{
		{0, 5, ""}, {0, 15, RelayKilled}, {12, 15, RelayKilled}, {12, 30, RelayKilled}, {25, 30, ""},
	} {
		a := Attempt{Outcome: Lost, Dot: at(test.dot), Ended: at(test.ended)}
		if why := l.window(a, &Take{}); why != test.want {
			t.Errorf("dot at %d ms, lost at %d ms, killed from 10 to 20: %q, want %q", test.dot, test.ended, why, test.want)
		}
	}
}

// Copies that a recipient gets twice are counted, and why.
func TestJudgeCounts(t *testing.T) {
	now := time.Now()
	rcpts := Rcpts(0)
	l := &Ledger{Patience: time.Minute}
	l.tried(Attempt{Key: Key{0, 0}, Outcome: Deferred, Rcpts: rcpts, Dot: now, Ended: now})
	l.tried(Attempt{Key: Key{0, 1}, Outcome: Acknowledged, Rcpts: rcpts, Reply: "250 2.0.0 taken m0.a1\r\n"})
	l.took(&Take{Key: Key{0, 0}, Rcpts: rcpts, Misled: "resets"})
	l.took(&Take{Key: Key{0, 1}, Rcpts: rcpts, said: true})
	j := l.Judge(1)
	if len(j.Problems) > 0 || j.Duplicates != 1 || j.Delivered != 1 || j.Windows["the upstream's reply was lost: resets"] != 1 {
		t.Errorf("%v\n%s", j.Problems, j)
	}
	if row, want := j.Row("one"), "| one | 1 | 0 | 2 | 0 | 1 | 0 | 1 | 0 |\n"; row != want {
		t.Errorf("the row is %q, want %q", row, want)
	}
}

package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// The fates of a message that the client hears 250 for.
const (
	passes   = "1 arrived, 0 set aside"
	vanishes = "0 arrived, 0 set aside"
	waits    = "0 arrived, 1 set aside"
)

// TestMilterFates gives the verdicts that refuse nothing, at every stage.
func TestMilterFates(t *testing.T) {
	for _, kind := range mtas {
		t.Run(kind.name, func(t *testing.T) {
			s := newTheatre(t, kind, filters.Rcpt, mtaOptions{})
			for _, stage := range allOfMail {
				for action, want := range map[filters.Action]string{
					filters.Continue:   passes,
					filters.Accept:     passes,
					filters.Discard:    vanishes,
					filters.Quarantine: waits,
				} {
					t.Run(fmt.Sprint(action, " at ", stage), func(t *testing.T) {
						s.play(at(stage, verdict(action)), script{})
						if got := s.fate(t); got != want {
							t.Errorf("%s, want %s", got, want)
						}
					})
				}
			}
			t.Run("accept counts", func(t *testing.T) { testMilterAccept(t, s) })
			t.Run("refusal counts", func(t *testing.T) { testMilterRefusalCounts(t, s) })
			t.Run("sight", func(t *testing.T) { testMilterSight(t, s) })
			t.Run("skip", func(t *testing.T) { testMilterSkip(t, s) })
			t.Run("command", func(t *testing.T) { testMilterCommand(t, s) })
		})
	}
}

// at is a script with one verdict.
func at(s filters.Stage, v filters.Verdict) script {
	return script{verdicts: map[filters.Stage]filters.Verdict{s: v}}
}

func verdict(a filters.Action) filters.Verdict {
	if a == filters.Continue {
		return filters.Verdict{}
	}
	return filters.Verdict{Action: a, Finding: &filters.Finding{Reason: "why"}}
}

// fate sends a message and returns what comes of it.
func (s *theatre) fate(t *testing.T) string {
	t.Helper()
	arrived, held := len(s.sink.Messages()), s.mta.Quarantined(t)
	k := converse(t, s.mta.Address(), "", "", plainCommands)
	if !strings.HasSuffix(k.codes, "354 250") {
		return "refused: " + k.refusal
	}
	s.mta.Settle(t, time.Minute)
	return fmt.Sprintf("%d arrived, %d set aside", len(s.sink.Messages())-arrived, s.mta.Quarantined(t)-held)
}

// What the first filter accepts, the second is asked about no more: of one
// recipient at RCPT, else of the message.
func testMilterAccept(t *testing.T, s *theatre) {
	no := filters.Refuse("no", 550, [3]uint16{5, 7, 1}, "No")
	for _, stage := range allOfMail {
		t.Run(stage.String(), func(t *testing.T) {
			s.play(at(stage, verdict(filters.Accept)), at(stage, no))
			if got := s.fate(t); got != passes {
				t.Errorf("refused at the same stage: %s", got)
			}
			s.play(at(stage, verdict(filters.Accept)), at(filters.EOM, no))
			want := passes
			if stage == filters.Rcpt {
				want = "refused"
			}
			if got := s.fate(t); !strings.HasPrefix(got, want) {
				t.Errorf("refused at the end: %s, want %s", got, want)
			}
		})
	}
}

// A message that one filter sets aside and another refuses is refused, and a
// message that is refused is not edited.
func testMilterRefusalCounts(t *testing.T, s *theatre) {
	no := filters.Refuse("no", 550, [3]uint16{5, 7, 1}, "No")
	first := at(filters.Rcpt, verdict(filters.Quarantine))
	first.edits = []filters.Edit{filters.AddRcpt{To: to("new@test.example")}}
	s.play(first, at(filters.EOM, no))
	arrived, held := len(s.sink.Messages()), s.mta.Quarantined(t)
	if got := s.fate(t); !strings.Contains(got, "No (id ") {
		t.Errorf("%s, want a refusal", got)
	}
	s.mta.Settle(t, time.Minute)
	if len(s.sink.Messages()) != arrived || s.mta.Quarantined(t) != held {
		t.Error("the refused message has been taken")
	}
}

// The filters see what the client has sent, and that arrives.
func testMilterSight(t *testing.T, s *theatre) {
	text := wholeHeader + "X-Blanks:  two\r\nX-Tight:none\r\nX-Fold: one\r\n\ttwo\r\n  three\r\nX-8: \xfc\r\n\r\n" +
		"body\r\n.\r\n..\r\n\r\n\xfc" + longBody
	s.play(script{}, script{})
	before := len(s.sink.Messages())
	c := peer.DialFrom(t, "127.0.0.2", s.mta.Address())
	c.Expect("220")
	c.Hello()
	c.Do("250", "MAIL FROM:<from@test.example> BODY=8BITMIME")
	c.Do("250", "RCPT TO:<a@test.example>")
	c.Do("250", "RCPT TO:<\"b c\"@test.example>")
	c.Do("354", "DATA")
	c.Write(peer.Stuff(text) + ".\r\n")
	c.Expect("250")
	c.Quit()
	arrived := s.sink.Wait(t, before+1, time.Minute)[before]
	s.first.see(func(got *seen) {
		peer.SameText(t, got.text, text)
		section, _, _ := strings.Cut(text, "\r\n\r\n")
		if want := filters.ParseHeader(section); !slices.Equal(got.header, want) {
			t.Errorf("the fields seen are\n%q, want\n%q", got.header, want)
		}
		if got.size != int64(len(text)) {
			t.Errorf("the size seen is %d, want %d", got.size, len(text))
		}
		if want := "<from@test.example> BODY=8BITMIME <a@test.example> <\"b c\"@test.example>"; got.envelope != want {
			t.Errorf("the envelope seen is %s, want %s", got.envelope, want)
		}
		if want := "127.0.0.2 client.test.example"; got.client != want {
			t.Errorf("the client seen is %s, want %s", got.client, want)
		}
	})
	peer.SameText(t, string(arrived.BelowReceived()), text)
}

// A filter that has seen enough of the body is still asked at the end.
func testMilterSkip(t *testing.T, s *theatre) {
	first := at(filters.EOM, filters.Refuse("no", 550, [3]uint16{5, 7, 1}, "No"))
	first.skip = true
	for _, second := range []script{{}, {skip: true}} {
		s.play(first, second)
		c := peer.Dial(t, s.mta.Address())
		c.Hello()
		sendText(c, "from@test.example", wholeHeader+"\r\n"+longBody, "550")
		c.Quit()
	}
	s.play(script{skip: true}, script{skip: true})
	before := len(s.sink.Messages())
	c := peer.Dial(t, s.mta.Address())
	c.Hello()
	sendText(c, "from@test.example", wholeHeader+"\r\n"+longBody, "250")
	c.Quit()
	m := s.sink.Wait(t, before+1, time.Minute)[before]
	_, body, _ := strings.Cut(string(m.Data), "\r\n\r\n")
	peer.SameText(t, body, longBody)
}

// An unknown verb is refused by the filter, and the session goes on whatever
// the verdict.
func testMilterCommand(t *testing.T, s *theatre) {
	for _, v := range []filters.Verdict{
		{},
		verdict(filters.Accept),
		verdict(filters.Discard),
		verdict(filters.Quarantine),
		filters.Refuse("no", 502, [3]uint16{5, 7, 1}, "Not here"),
		filters.Refuse("later", 450, [3]uint16{4, 7, 1}, "Not here"),
		filters.Refuse("fine", 250, [3]uint16{2, 0, 0}, "Not here"),
	} {
		t.Run(v.Action.String(), func(t *testing.T) {
			s.play(at(filters.Command, v), script{})
			commands := append([]string{"FOO bar"}, plainCommands...)
			k := converse(t, s.mta.Address(), "", "", append(commands, plainCommands...))
			code := "500" // the MTA's own
			if reply := v.Finding; reply != nil && reply.Reply.Code >= 400 {
				code = fmt.Sprint(reply.Reply.Code)
				if !strings.Contains(k.refusal, "Not here (id ") {
					t.Errorf("the refusal is %q", k.refusal)
				}
			}
			if want := "220 250 " + code + " 250 250 354 250 250 250 354 250"; k.codes != want {
				t.Errorf("the client heard %s, want %s; the refusal was %q", k.codes, want, k.refusal)
			}
		})
	}
}

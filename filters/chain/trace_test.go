package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// traced is a session whose chain tells what it does.
func traced(t *testing.T, specs ...chain.Spec) (*talk, *[]chain.Asked, *[]string) {
	t.Helper()
	log := new(bytes.Buffer)
	c := build(t, log, chain.Options{DelayReject: filters.Rcpt}, specs...)
	var asked []chain.Asked
	var ends []string
	c = c.For("mx").Traced(chain.Trace{
		Asked:  func(a chain.Asked) { asked = append(asked, a) },
		Ends:   func(tx *filters.Transaction) { ends = append(ends, fmt.Sprint(tx.ID(), " ", len(tx.Edits()))) },
		Closes: func(s *filters.Session) { ends = append(ends, s.ID) },
	})
	return &talk{c.Start(context.Background(), session()), t, log}, &asked, &ends
}

// spelt is what was told, in one line for each question.
func spelt(asked []chain.Asked) []string {
	var lines []string
	for _, a := range asked {
		words := []string{a.Stage.String(), a.Entry.Name, a.Verdict.Action.String()}
		if a.Decision.Action != filters.Continue {
			words = append(words, "->", a.Decision.Action.String())
		}
		if a.Failed() != nil {
			words = append(words, "failed")
		}
		if a.Observed {
			words = append(words, "observed")
		}
		if a.Waits {
			words = append(words, "waits")
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// Each question is told with what came of it, and the others go on as if nobody
// listened.
func TestTrace(t *testing.T) {
	k, asked, ends := traced(t,
		entry(&stub{name: "quiet", finds: answers{filters.Connect: {}, filters.Rcpt: {}}}),
		entry(&stub{name: "seen", finds: answers{filters.Connect: reject()}}, doing(chain.Ignore)),
		entry(&stub{name: "broken", finds: answers{filters.Helo: filters.Failed(errBoom)}}, onError(chain.ErrorContinue)),
		entry(&stub{name: "strict", finds: answers{filters.Mail: filters.Failed(errBoom)}}),
	)
	k.until(filters.Rcpt)
	k.Close()
	wantLines(t, spelt(*asked),
		"connect quiet continue",
		"connect seen reject -> reject observed",
		"helo broken continue failed",
		"mail strict continue -> tempfail failed waits",
	)
	wantLines(t, *ends, "S1.1 0", "S1")
	if d := (*asked)[3].Decision; d.Reply.Code != 451 || strings.Contains(d.Reply.Text, "S1") {
		t.Errorf("reply %v, want 451 without an id", d.Reply)
	}
	if err := (*asked)[2].Failed(); !errors.Is(err, errBoom) {
		t.Errorf("failed with %v, want %v", err, errBoom)
	}
}

// A verdict that a filter may not give is told as the failure that it is.
func TestTraceBadVerdict(t *testing.T) {
	k, asked, _ := traced(t, one(answers{filters.Connect: verdict(filters.Quarantine)}, onError(chain.ErrorContinue)))
	k.ask(filters.Connect)
	k.Close()
	wantLines(t, spelt(*asked), "connect f continue failed")
}

// Filters that read content are told of when they give their verdict.
func TestTraceBody(t *testing.T) {
	open := func(end filters.Verdict, early bool) func(*filters.Transaction) io.Writer {
		return func(*filters.Transaction) io.Writer { return &sink{end: end, early: early} }
	}
	k, asked, _ := traced(t,
		entry(&stub{name: "early", open: open(filters.Verdict{}, true)}),
		entry(&stub{name: "late", open: open(reject(), false)}),
		entry(&stub{name: "panics", open: func(*filters.Transaction) io.Writer { panic("boom") }}, onError(chain.ErrorContinue)),
	)
	k.until(filters.EOM)
	k.Close()
	wantLines(t, spelt(*asked),
		"body panics continue failed",
		"body early continue",
		"eom late reject -> reject",
	)
}

// Edits are told by who wants them, made or not; the end tells those that are
// made.
func TestTraceEdits(t *testing.T) {
	editing := func(name string, v filters.Verdict, more ...func(*chain.Spec)) chain.Spec {
		spec := entry(&stub{name: name}, append(more, needs(filters.EditHeader))...)
		spec.Kind.New = func(filters.Env, any) (filters.Filter, error) { return editor{name, v}, nil }
		return spec
	}
	k, asked, ends := traced(t,
		editing("does", filters.Verdict{}),
		editing("seen", filters.Verdict{}, doing(chain.Ignore)),
		editing("broken", filters.Failed(errBoom), onError(chain.ErrorContinue)),
	)
	k.until(filters.EOM)
	k.Close()
	var got []string
	for _, a := range *asked {
		got = append(got, fmt.Sprint(a.Entry.Name, " ", a.Edits, " ", a.Unmade))
	}
	wantLines(t, got, "does [{X-By does}] false", "seen [{X-By seen}] true", "broken [{X-By broken}] true")
	wantLines(t, *ends, "S1.1 1", "S1")
}

// editor adds a field that names it.
type editor struct {
	name string
	v    filters.Verdict
}

func (e editor) Message(_ context.Context, t *filters.Transaction) filters.Verdict {
	if err := t.Edit(filters.AddField{Name: "X-By", Value: e.name}); err != nil {
		return filters.Failed(err)
	}
	return e.v
}

func TestTraceTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := func(context.Context) filters.Verdict {
			time.Sleep(3 * time.Second)
			return reject()
		}
		k, asked, _ := traced(t, entry(&stub{name: "f", do: map[filters.Stage]func(context.Context) filters.Verdict{filters.Helo: waits}}))
		k.until(filters.Helo)
		k.Close()
		if took := (*asked)[0].Took; took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
	})
}

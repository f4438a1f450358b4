package relay_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// stub is a filter of functions; those it lacks find nothing.
type stub struct {
	mail func(*filters.Transaction) filters.Verdict
	rcpt func(*filters.Transaction) filters.Verdict
	eom  func(*filters.Transaction) filters.Verdict
	body io.Writer
}

func (f *stub) Stages() filters.Stages {
	set := filters.StageSet(filters.Mail, filters.Rcpt, filters.EOM)
	if f.body != nil {
		set |= filters.StageSet(filters.Body)
	}
	return set
}

func (f *stub) ask(fn func(*filters.Transaction) filters.Verdict, tx *filters.Transaction) filters.Verdict {
	if fn == nil {
		return filters.Verdict{}
	}
	return fn(tx)
}

func (f *stub) Mail(_ context.Context, tx *filters.Transaction) filters.Verdict {
	return f.ask(f.mail, tx)
}

func (f *stub) Rcpt(_ context.Context, tx *filters.Transaction, _ *filters.Path) filters.Verdict {
	return f.ask(f.rcpt, tx)
}

func (f *stub) Message(_ context.Context, tx *filters.Transaction) filters.Verdict {
	return f.ask(f.eom, tx)
}

func (f *stub) Body(context.Context, *filters.Transaction) io.Writer { return f.body }

var discard = filters.Verdict{Action: filters.Discard, Finding: &filters.Finding{Reason: "test"}}

// What the upstream has taken the client learns at once, not after the next
// sender has been looked at.
func TestAcknowledgedAtOnce(t *testing.T) {
	p := newPlay(t, hello+envelope+"DATA\r\n"+letter+".\r\n"+envelope)
	heard := ""
	p.options.Chain = newChain(t, quiet, &stub{mail: func(*filters.Transaction) filters.Verdict {
		p.mu.Lock()
		defer p.mu.Unlock()
		heard = string(p.heard)
		return filters.Verdict{}
	}})
	p.run(t)
	if !strings.Contains(heard, "2.0.0 Queued") {
		t.Errorf("at the second MAIL the client had heard only %q", heard)
	}
}

// The wait for the upstream is not on the client's account.
func TestSlowUpstreamIsNotTheClientsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, "")
		p.options.Timeouts.Command = 10 * time.Second
		usual := p.answer
		p.answer = func(n int, says string) (string, error) {
			if strings.HasPrefix(says, "250 2.1.0") {
				time.Sleep(15 * time.Second)
			}
			return usual(n, says)
		}
		p.steps(hello, envelope, "QUIT\r\n")
		p.run(t)
		p.wantCodes(t, "220 250 250 250 221")
	})
}

// A client that sends a line octet by octet has as long for it as any other.
func TestSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, "")
		p.options.Timeouts.Command = 10 * time.Second
		line := strings.Repeat("x", 100)
		p.more = func([]byte) ([]byte, error) {
			time.Sleep(3 * time.Second)
			line = line[1:]
			return []byte(line[:1]), os.ErrDeadlineExceeded
		}
		began := time.Now()
		p.run(t)
		p.wantCodes(t, "220 421")
		if took := p.told.Sub(began); took > 13*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// failing is a sink that cannot take anything.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }

// A panic inside of a text ends the session with an answer, and the upstream
// is not told QUIT as if that were text.
func TestPanicInText(t *testing.T) {
	p := newPlay(t, hello+envelope+"DATA\r\n"+letter)
	p.options.Chain = newChain(t, p.options.Log, &stub{body: failing{}})
	p.journal.panicAt = "filter failed"
	p.run(t)
	p.wantCodes(t, "220 250 250 250 354 421")
	if body := p.up[0].oracle.body; strings.Contains(string(body), "QUIT") {
		t.Errorf("the upstream got %q for a text", body)
	}
	if p.journal.with("panic in a session") == "" {
		t.Error("it is not in the log")
	}
}

// A client that leaves in the middle of AUTH leaves no QUIT as its password.
func TestLostInAuth(t *testing.T) {
	p := newPlay(t, hello+"AUTH LOGIN\r\n")
	p.run(t)
	if secrets := p.up[0].oracle.secrets; len(secrets) > 0 {
		t.Errorf("the upstream was sent %q in the exchange", secrets)
	}
}

// A transaction that no upstream knows of is bounded as any other.
func TestRecipientsOfDiscardedMail(t *testing.T) {
	const many = 5000
	p := newPlay(t, hello+"MAIL FROM:<a@x.example>\r\n"+strings.Repeat("RCPT TO:<b@y.example>\r\n", many)+"QUIT\r\n")
	p.options.MaxErrors = 2 * many
	p.options.MaxRcpts = 1000
	most := 0
	p.options.Chain = newChain(t, quiet, &stub{
		mail: func(*filters.Transaction) filters.Verdict { return discard },
		rcpt: func(tx *filters.Transaction) filters.Verdict {
			most = max(most, len(tx.Rcpts))
			return filters.Verdict{}
		},
	})
	p.run(t)
	if n := strings.Count(p.codes(t), "250"); n > 1002 {
		t.Errorf("%d recipients were taken", n-2)
	}
}

// A chunk that the upstream refused cannot be missing from an acknowledged
// message.
func TestRefusedChunk(t *testing.T) {
	p := newPlay(t, hello+envelope+"BDAT 4\r\nabc\nBDAT 4 LAST\r\nde\r\n")
	p.on("250 2.0.0 Chunk", "452 4.3.1 No room\r\n", os.ErrDeadlineExceeded)
	p.more = inOneGo(hello+envelope+"BDAT 4\r\nab\r\nBDAT 4 LAST\r\nde\r\nRSET\r\n"+envelope+"QUIT\r\n", io.EOF)
	p.run(t)
	p.wantCodes(t, "220 250 250 250 452 503 250 250 250 221")
}

// Answers wait for the end of what the client has sent, but not in memory
// without bound.
func TestQueuedAnswersAreBounded(t *testing.T) {
	p := newPlay(t, hello+envelope+"DATA\r\n"+letter+".\r\n"+strings.Repeat("HELP\r\n", 5000))
	p.options.MaxErrors = 10000
	long := strings.Repeat("214-"+strings.Repeat("help ", 80)+"\r\n", 20) + "214 end\r\n"
	usual := p.answer
	p.answer = func(n int, says string) (string, error) {
		if says == "252 Perhaps\r\n" {
			says = long
		}
		return usual(n, says)
	}
	p.run(t)
	if p.most > 128<<10 {
		t.Errorf("%d octets were kept for the client", p.most)
	}
}

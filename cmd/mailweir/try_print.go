package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/trial"
	"github.com/mailweir/mailweir/rules"
)

// tryPrinter prints the account of a session.
type tryPrinter struct {
	io.Writer
	trial    *proxy.Trial
	question *tryQuestion
	*trial.Account
}

// printText prints it for people.
func (p *tryPrinter) printText() error {
	w := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\n", p.premises())
	for _, s := range p.Steps {
		p.printStep(w, s)
	}
	p.printFacts(w)
	if len(p.Edits) > 0 {
		fmt.Fprint(w, "\nchanges\n")
	}
	for _, e := range p.Edits {
		fmt.Fprintf(w, "   %s\n", smtp.Clean(editText(e)))
	}
	if len(p.Recipients) > 1 {
		fmt.Fprint(w, "\nrecipients\n")
		for _, r := range p.Recipients {
			fmt.Fprintf(w, "   %s\t%s\t%s\n", r.Path, r.End, strings.Join(r.Reply.Lines, " / "))
		}
	}
	fmt.Fprintf(w, "\n%s\n", p.endText())
	return w.Flush()
}

// premises is what of the session is not as it would be.
func (p *tryPrinter) premises() string {
	l := p.trial.Listener
	text := fmt.Sprintf("listener %s (%s): ", l.Name, l.Mode)
	if l.Mode == "milter" {
		text += "its MTA is imagined"
	} else {
		text += "its upstream is imagined"
	}
	if p.question.message == "" {
		text += ", and so is the message"
	}
	if !p.question.live {
		text += "; the DNS is not asked without --live"
	}
	return text
}

func (p *tryPrinter) printStep(w io.Writer, s trial.Step) {
	said := s.Said
	if said == "" {
		said = "(connects from " + p.question.session.Client.String() + ")"
	}
	fmt.Fprintf(w, "\n-> %s\n", smtp.Clean(said))
	for _, a := range s.Asked {
		fmt.Fprintf(w, "   %s\t%s\t%7s\t%s\n", a.Stage, a.Entry.Name, roundTime(a.Took), smtp.Clean(p.findingText(&a.Asked)))
		p.printRules(w, a.Rules)
		for _, e := range a.Edits {
			fmt.Fprintf(w, "   \t\t%7s\t%s\n", "", smtp.Clean(wantText(&a.Asked)+editText(e)))
		}
	}
	if s.Note != "" {
		fmt.Fprintf(w, "   (%s)\n", s.Note)
	}
	for _, line := range s.Reply.Lines {
		fmt.Fprintf(w, "<- %s\n", line)
	}
	if s.Reply.Code == 0 {
		fmt.Fprintln(w, "<- (the connection is closed)")
	}
}

// printRules prints what became of the rules of a policy: of those that do not
// match only when all are wanted.
func (p *tryPrinter) printRules(w io.Writer, steps []rules.Step) {
	for _, s := range steps {
		text := s.Rule
		if s.Set != "" {
			text = s.Set + "/" + text
		}
		text += ": " + string(s.Result)
		if s.Why != "" {
			text += ", " + s.Why
		}
		if s.Then != "" {
			text += "; then " + s.Then
		}
		if p.question.verbose || s.Result == rules.Matched || s.Result == rules.Broken {
			fmt.Fprintf(w, "   \t\t%7s\trule %s\n", "", smtp.Clean(text))
		}
	}
}

// findingText is what came of asking a filter.
func (p *tryPrinter) findingText(a *chain.Asked) string {
	text := "continue"
	failed := a.Failed()
	if failed != nil {
		text = fmt.Sprintf("failed, on_error %s: %v", a.Entry.OnError, firstLine(failed))
		if a.Decision.Action != filters.Continue {
			text += "; " + decisionText(a)
		}
	} else if a.Decision.Action != filters.Continue {
		text = decisionText(a)
		if f := a.Verdict.Finding; f != nil && f.Err != nil {
			text += "; " + firstLine(f.Err)
		}
	}
	if p.isUnasked(a.Entry.Name) && !errors.Is(failed, trial.ErrUnasked) {
		text += unaskedMark
	}
	return text
}

// unaskedMark stands behind what an answer of the DNS might change.
const unaskedMark = " [DNS not asked]"

// decisionText is what a finding means for the client, and when.
func decisionText(a *chain.Asked) string {
	text := a.Decision.Action.String()
	if f := a.Verdict.Finding; f != nil && f.Reason != "" && a.Failed() == nil {
		text += " (" + f.Reason + ")"
	}
	if a.Decision.Reply.Code != 0 {
		text += ": " + a.Decision.Reply.String()
	}
	switch {
	case a.Observed:
		return "ignored, would " + text
	case a.Waits:
		return text + "; told later (delay_reject)"
	}
	return text
}

// firstLine leaves stacks out.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (p *tryPrinter) isUnasked(entry string) bool {
	return slices.Contains(p.Unasked, entry)
}

func wantText(a *chain.Asked) string {
	if a.Unmade {
		return "would "
	}
	return ""
}

// editText spells an edit.
func editText(e filters.Edit) string {
	switch e := e.(type) {
	case filters.AddField:
		return "add field " + e.Name + ": " + e.Value
	case filters.InsertField:
		return fmt.Sprintf("insert field %s: %s (place %d)", e.Name, e.Value, e.Index)
	case filters.ChangeField:
		return fmt.Sprintf("change field %s (number %d): %s", e.Name, e.Nth, e.Value)
	case filters.RemoveField:
		return fmt.Sprintf("remove field %s (number %d)", e.Name, e.Nth)
	case filters.ChangeSender:
		return "change sender " + e.From.Raw
	case filters.AddRcpt:
		return "add recipient " + e.To.Raw
	case filters.RemoveRcpt:
		return "remove recipient " + e.Raw
	}
	return "replace body"
}

func (p *tryPrinter) printFacts(w io.Writer) {
	if len(p.Facts) > 0 {
		fmt.Fprint(w, "\nfacts\n")
	}
	for _, f := range p.Facts {
		text := factText(f)
		if p.isUnasked(f.By) && f.Err == nil {
			text += unaskedMark
		}
		fmt.Fprintf(w, "   %s\t%s\tby %s\n", f.Name, text, f.By)
	}
}

func factText(f trial.Fact) string {
	if f.Err != nil {
		return "not known: " + smtp.Clean(firstLine(f.Err))
	}
	switch v := f.Value.(type) {
	case string:
		return fmt.Sprintf("%+q", v)
	case []string:
		return fmt.Sprintf("%+q", v)
	}
	return smtp.Clean(fmt.Sprint(f.Value))
}

func (p *tryPrinter) endText() string {
	accepted := 0
	for _, r := range p.Recipients {
		if r.End == p.End {
			accepted++
		}
	}
	text := string(p.End)
	if accepted < len(p.Recipients) {
		text += fmt.Sprintf(" for %d of %s", accepted, count(len(p.Recipients), "recipient"))
	}
	if p.SetAside {
		text += ", and set aside (quarantine)"
	}
	return text
}

package main

import (
	"encoding/json"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/trial"
	"github.com/mailweir/mailweir/rules"
)

// The account of a session, as --json prints it.
type (
	tryJSON struct {
		Listener   string          `json:"listener"`
		Mode       string          `json:"mode"`
		Live       bool            `json:"live"`
		Steps      []stepJSON      `json:"steps"`
		Facts      []factJSON      `json:"facts"`
		Changes    []string        `json:"changes"`
		Recipients []recipientJSON `json:"recipients"`
		End        trial.End       `json:"end"`
		Quarantine bool            `json:"quarantine"`
	}
	stepJSON struct {
		Said  string      `json:"said"` // "" when the client connects
		Asked []askedJSON `json:"asked"`
		Note  string      `json:"note,omitempty"`
		Reply []string    `json:"reply"` // empty at the end of the connection
	}
	askedJSON struct {
		Stage      string          `json:"stage"`
		Filter     string          `json:"filter"`
		Kind       string          `json:"kind"`
		At         string          `json:"at"`     // file:line:col
		Action     string          `json:"action"` // what the finding means, continue for nothing
		Reason     string          `json:"reason,omitempty"`
		Reply      string          `json:"reply,omitempty"`
		Ignored    bool            `json:"ignored"` // the action is not done
		Waits      bool            `json:"waits"`   // the action waits for delay_reject
		Failed     bool            `json:"failed"`  // the filter could not decide: on_error did
		Error      string          `json:"error,omitempty"`
		DNSUnasked bool            `json:"dns_not_asked"`
		Changes    []string        `json:"changes,omitempty"`
		Unmade     bool            `json:"changes_ignored,omitempty"`
		Seconds    float64         `json:"seconds"`
		Rules      []triedRuleJSON `json:"rules,omitempty"` // of a policy, all that were asked
	}
	triedRuleJSON struct {
		Rule   string       `json:"rule"`
		Set    string       `json:"set,omitempty"`
		At     string       `json:"at"` // file:line:col
		Result rules.Result `json:"result"`
		Why    string       `json:"why,omitempty"`
		Then   string       `json:"then,omitempty"`
	}
	factJSON struct {
		Name  string `json:"name"`
		Value any    `json:"value"` // null if it is not known
		Error string `json:"error,omitempty"`
		By    string `json:"by"`
	}
	recipientJSON struct {
		Path  string    `json:"path"`
		End   trial.End `json:"end"`
		Reply []string  `json:"reply"`
	}
)

// printJSON prints it for programs.
func (p *tryPrinter) printJSON() error {
	out := tryJSON{
		Listener:   p.trial.Listener.Name,
		Mode:       string(p.trial.Listener.Mode),
		Live:       p.question.live,
		Facts:      []factJSON{},
		Changes:    editTexts(p.Edits),
		End:        p.End,
		Quarantine: p.SetAside,
	}
	for _, s := range p.Steps {
		step := stepJSON{Said: s.Said, Asked: []askedJSON{}, Note: s.Note, Reply: lines(s.Reply)}
		for _, a := range s.Asked {
			step.Asked = append(step.Asked, p.askedJSON(&a))
		}
		out.Steps = append(out.Steps, step)
	}
	for _, f := range p.Facts {
		fact := factJSON{Name: f.Name, Value: f.Value, By: f.By}
		if f.Err != nil {
			fact.Value, fact.Error = nil, firstLine(f.Err)
		}
		out.Facts = append(out.Facts, fact)
	}
	for _, r := range p.Recipients {
		out.Recipients = append(out.Recipients, recipientJSON{r.Path, r.End, lines(r.Reply)})
	}
	enc := json.NewEncoder(p)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func (p *tryPrinter) askedJSON(a *trial.Asked) askedJSON {
	j := askedJSON{
		Stage:      a.Stage.String(),
		Filter:     a.Entry.Name,
		Kind:       a.Entry.Kind.Name,
		At:         a.Entry.Pos,
		Action:     a.Decision.Action.String(),
		Reply:      a.Decision.Reply.String(),
		Ignored:    a.Observed,
		Waits:      a.Waits,
		Failed:     a.Failed() != nil,
		DNSUnasked: p.isUnasked(a.Entry.Name),
		Unmade:     a.Unmade,
		Seconds:    a.Took.Seconds(),
	}
	for _, s := range a.Rules {
		j.Rules = append(j.Rules, triedRuleJSON{s.Rule, s.Set, s.Pos, s.Result, s.Why, s.Then})
	}
	if len(a.Edits) > 0 {
		j.Changes = editTexts(a.Edits)
	}
	if f := a.Verdict.Finding; f != nil {
		j.Reason = f.Reason
		if f.Err != nil {
			j.Error = firstLine(f.Err)
		}
	}
	return j
}

func editTexts(edits []filters.Edit) []string {
	texts := make([]string, len(edits))
	for i, e := range edits {
		texts[i] = editText(e)
	}
	return texts
}

func lines(r trial.Reply) []string { return append([]string{}, r.Lines...) }

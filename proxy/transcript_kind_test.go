package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// scriptKinds are kinds of filters for transcripts. They find what they are
// told to, and edit; there is one for each thing that front ends may not offer.
var scriptKinds = []filters.Kind{
	scriptKind("script", 0),
	scriptKind("editor", filters.Edits),
	scriptKind("setaside", filters.DoQuarantine),
	scriptKind("holder", filters.WholeMessage),
}

func scriptKind(name string, needs filters.Needs) filters.Kind {
	k := filters.Kind{Name: name, Doc: "Does what it is told to.", Needs: needs}
	return filters.Define(k, scriptConfig{}, func(_ filters.Env, c *scriptConfig) (filters.Filter, error) {
		f := actor{scriptConfig: *c, parts: map[filters.Stage]part{
			filters.Connect: c.Connect, filters.Helo: c.Helo, filters.Mail: c.Mail, filters.Rcpt: c.Rcpt, filters.Data: c.Data,
			filters.EOH: c.EOH, filters.Body: c.Body, filters.EOM: c.EOM, filters.Command: c.Command,
		}}
		return &f, nil
	})
}

type scriptConfig struct {
	For     string       `yaml:"for" doc:"the address that this is for: of the client, of the sender, or in rcpt of the recipient; all by default"`
	Connect part         `yaml:"connect" doc:"what to find there"`
	Helo    part         `yaml:"helo" doc:"what to find there"`
	Mail    part         `yaml:"mail" doc:"what to find there"`
	Rcpt    part         `yaml:"rcpt" doc:"what to find there"`
	Data    part         `yaml:"data" doc:"what to find there"`
	EOH     part         `yaml:"eoh" doc:"what to find there"`
	Body    part         `yaml:"body" doc:"what to find there"`
	EOM     part         `yaml:"eom" doc:"what to find there"`
	Command part         `yaml:"command" doc:"what to find there"`
	Edits   []scriptEdit `yaml:"edits" doc:"what to change at the end of the message"`
	Early   []scriptEdit `yaml:"early" doc:"what to ask for at MAIL already"`
}

// part is what to find: an action, a reply, "error", "panic" or nothing.
type part string

// UnmarshalText reads a part.
func (p *part) UnmarshalText(text []byte) error {
	*p = part(text)
	_, err := p.verdict()
	return err
}

// MarshalText spells a part.
func (p part) MarshalText() ([]byte, error) { return []byte(p), nil }

func (p part) verdict() (filters.Verdict, error) {
	switch p {
	case "":
		return filters.Verdict{}, nil
	case "error", "panic":
		return filters.Failed(errors.New("as the script says")), nil
	}
	for a := filters.Continue; a <= filters.Hangup; a++ {
		if a.String() == string(p) {
			return filters.Verdict{Action: a, Finding: &filters.Finding{Reason: "script"}}, nil
		}
	}
	var code uint16
	var enh [3]uint16
	if _, err := fmt.Sscanf(string(p), "%d %d.%d.%d ", &code, &enh[0], &enh[1], &enh[2]); err != nil {
		return filters.Verdict{}, fmt.Errorf("%q is neither an action nor a reply", string(p))
	}
	words := strings.SplitN(string(p), " ", 3)
	return filters.Refuse("script", code, enh, words[len(words)-1]), nil
}

// scriptEdit is an edit: "add X: a", "insert 1 X: a", "change 1 X: a",
// "remove 1 X", "from <a@b>", "rcpt <a@b>", "drop <a@b>" or "body text".
type scriptEdit struct {
	text string
	edit func() filters.Edit
}

// MarshalText spells an edit.
func (e scriptEdit) MarshalText() ([]byte, error) { return []byte(e.text), nil }

// UnmarshalText reads an edit.
func (e *scriptEdit) UnmarshalText(text []byte) error {
	e.text = string(text)
	verb, rest, _ := strings.Cut(e.text, " ")
	nth := 0
	if number, after, ok := strings.Cut(rest, " "); ok && (verb == "insert" || verb == "change" || verb == "remove") {
		var err error
		if nth, err = strconv.Atoi(number); err != nil {
			return err
		}
		rest = after
	}
	name, value, _ := strings.Cut(rest, ": ")
	raw, params, _ := strings.Cut(rest, " ")
	path := filters.Path{Raw: raw, Params: params}
	e.edit = map[string]func() filters.Edit{
		"add":    func() filters.Edit { return filters.AddField{Name: name, Value: value} },
		"insert": func() filters.Edit { return filters.InsertField{Index: nth, Name: name, Value: value} },
		"change": func() filters.Edit { return filters.ChangeField{Name: name, Nth: nth, Value: value} },
		"remove": func() filters.Edit { return filters.RemoveField{Name: name, Nth: nth} },
		"from":   func() filters.Edit { return filters.ChangeSender{From: path} },
		"rcpt":   func() filters.Edit { return filters.AddRcpt{To: path} },
		"drop":   func() filters.Edit { return filters.RemoveRcpt{Raw: raw} },
		"body":   func() filters.Edit { return filters.ReplaceBody{Body: strings.NewReader(rest)} },
	}[verb]
	if e.edit == nil {
		return fmt.Errorf("%q is no edit", e.text)
	}
	return nil
}

// actor is a filter that does what a transcript says.
type actor struct {
	scriptConfig
	parts map[filters.Stage]part
}

// Stages are those at which there is something to do.
func (a *actor) Stages() filters.Stages {
	var set filters.Stages
	for stage, p := range a.parts {
		if p != "" {
			set |= filters.StageSet(stage)
		}
	}
	if len(a.Edits) > 0 {
		set |= filters.StageSet(filters.EOM)
	}
	if len(a.Early) > 0 {
		set |= filters.StageSet(filters.Mail)
	}
	return set
}

// at is the verdict at a stage, about a client, sender or recipient.
func (a *actor) at(s filters.Stage, about string) filters.Verdict {
	if a.For != "" && a.For != about {
		return filters.Verdict{}
	}
	if a.parts[s] == "panic" {
		panic("as the script says")
	}
	v, _ := a.parts[s].verdict()
	return v
}

// edits asks for edits, and then finds what there is to find.
func (a *actor) edits(t *filters.Transaction, s filters.Stage, edits []scriptEdit) filters.Verdict {
	if a.For != "" && a.For != t.From.String() {
		return filters.Verdict{}
	}
	for _, e := range edits {
		if err := t.Edit(e.edit()); err != nil {
			return filters.Failed(err)
		}
	}
	return a.at(s, t.From.String())
}

func (a *actor) Connect(_ context.Context, s *filters.Session) filters.Verdict {
	return a.at(filters.Connect, s.Client.Addr().String())
}

func (a *actor) Helo(_ context.Context, s *filters.Session) filters.Verdict {
	return a.at(filters.Helo, s.Helo)
}

func (a *actor) Mail(_ context.Context, t *filters.Transaction) filters.Verdict {
	return a.edits(t, filters.Mail, a.Early)
}

func (a *actor) Rcpt(_ context.Context, t *filters.Transaction, to *filters.Path) filters.Verdict {
	return a.at(filters.Rcpt, to.String())
}

func (a *actor) Data(_ context.Context, t *filters.Transaction) filters.Verdict {
	return a.at(filters.Data, t.From.String())
}

func (a *actor) Header(_ context.Context, t *filters.Transaction) filters.Verdict {
	return a.at(filters.EOH, t.From.String())
}

func (a *actor) Body(_ context.Context, t *filters.Transaction) io.Writer {
	if a.For != "" && a.For != t.From.String() {
		return nil
	}
	return actorSink{a, t}
}

func (a *actor) Message(_ context.Context, t *filters.Transaction) filters.Verdict {
	return a.edits(t, filters.EOM, a.Edits)
}

func (a *actor) Command(_ context.Context, s *filters.Session, _, _ string) filters.Verdict {
	return a.at(filters.Command, s.Client.Addr().String())
}

// actorSink decides at the first octet, unless it is to read them all.
type actorSink struct {
	a *actor
	t *filters.Transaction
}

func (s actorSink) Write(p []byte) (int, error) {
	if s.a.parts[filters.Body] == "continue" {
		return len(p), nil
	}
	return len(p), filters.ErrDecided
}

func (s actorSink) Finish(context.Context) filters.Verdict {
	return s.a.at(filters.Body, s.t.From.String())
}

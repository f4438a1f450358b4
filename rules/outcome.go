package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// Outcome is what came of a test's session, whoever played it.
type Outcome struct {
	Answers []StageAnswer
	Header  filters.Header // of the message as it goes on
	To      []string       // its recipients, without angle brackets
	Matched []string       // rules
	Tags    []string
	Score   int
}

// StageAnswer is what one stage answered.
type StageAnswer struct {
	Stage   filters.Stage
	To      string // the recipient, at rcpt
	Verdict filters.Verdict
}

// Fate returns the verdict on it all: the first that refuses session, sender
// or message, or that on the last recipient if all are refused; else a discard
// or quarantine; else continue.
func (o *Outcome) Fate() filters.Verdict {
	var late filters.Verdict
	taken, refused := false, filters.Verdict{}
	for _, a := range o.Answers {
		v := a.Verdict
		switch {
		case v.Finding != nil && v.Finding.Observed, v.Action == filters.Continue && v.Finding == nil, v.Action == filters.Accept:
			taken = taken || a.Stage == filters.Rcpt
		case v.Action == filters.Discard || v.Action == filters.Quarantine:
			taken = taken || a.Stage == filters.Rcpt
			if late.Action == filters.Continue {
				late = v
			}
		case a.Stage == filters.Rcpt:
			refused = v
		default:
			return v
		}
	}
	if !taken && refused.Finding != nil {
		return refused
	}
	return late
}

// Compare returns what is not as the test wants it, each as a sentence; none
// if the test has passed.
func (w *Want) Compare(o *Outcome) []string {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, s := range w.stages() {
		w.compareStage(s, o, add)
	}
	if miss := w.Verdict.miss(o.Fate()); miss != "" {
		add("%s", miss)
	}
	compareNames(w.Rules, o.Matched, "the rule %s has not matched", add)
	for _, name := range w.NotRules {
		if slices.Contains(o.Matched, name) {
			add("the rule %s has matched", name)
		}
	}
	w.compareMessage(o, add)
	compareNames(w.Tags, o.Tags, "the tag %s is missing", add)
	if w.Tags != nil {
		compareNames(o.Tags, w.Tags, "the tag %s is not wanted", add)
	}
	if w.Score != nil && *w.Score != o.Score {
		add("the score is %d, want %d", o.Score, *w.Score)
	}
	return wrong
}

func compareNames(want, got []string, format string, add func(string, ...any)) {
	for _, name := range want {
		if !slices.Contains(got, name) {
			add(format, name)
		}
	}
}

func (w *Want) compareStage(s stageWant, o *Outcome, add func(string, ...any)) {
	if s.stage == filters.Rcpt {
		w.compareRecipients(s.want, o, add)
		return
	}
	if s.want.Verdict == "" {
		return
	}
	i := slices.IndexFunc(o.Answers, func(a StageAnswer) bool { return a.Stage == s.stage })
	if i < 0 {
		add("%v: the session ended before it", s.stage)
		return
	}
	if miss := s.want.miss(o.Answers[i].Verdict); miss != "" {
		add("%v: %s", s.stage, miss)
	}
}

func (w *Want) compareRecipients(all Answer, o *Outcome, add func(string, ...any)) {
	asked := map[string]bool{}
	for _, a := range o.Answers {
		if a.Stage != filters.Rcpt {
			continue
		}
		asked[a.To] = true
		want, own := w.Recipients[a.To]
		if !own {
			want = all
		}
		if miss := want.miss(a.Verdict); miss != "" {
			add("rcpt %s: %s", a.To, miss)
		}
	}
	for to := range w.Recipients {
		if !asked[to] {
			add("rcpt %s: it is no recipient of this test, or the session ended before", to)
		}
	}
	if all.Verdict != "" && len(asked) == 0 {
		add("rcpt: the session ended before it")
	}
}

func (w *Want) compareMessage(o *Outcome, add func(string, ...any)) {
	for _, line := range w.Headers {
		name, value, valued := strings.Cut(line, ":")
		if !hasField(o.Header, name, strings.TrimSpace(value), valued) {
			add("the field %s is missing", line)
		}
	}
	for _, name := range w.NotHeaders {
		if hasField(o.Header, name, "", false) {
			add("the field %s is there", name)
		}
	}
	compareNames(w.Envelope, o.To, "the message does not go to %s", add)
	if w.Envelope != nil {
		compareNames(o.To, w.Envelope, "the message goes to %s", add)
	}
}

func hasField(h filters.Header, name, value string, valued bool) bool {
	return slices.ContainsFunc(h, func(f filters.Field) bool {
		return strings.EqualFold(f.Name, strings.TrimSpace(name)) && (!valued || decodeField(f.Value) == value)
	})
}

// miss tells how a verdict differs from what is wanted, "" if it does not.
func (a Answer) miss(v filters.Verdict) string {
	if a.Verdict == "" {
		return ""
	}
	f := v.Finding
	if f == nil {
		f = &filters.Finding{}
	}
	if f.Observed && a == (Answer{Verdict: "continue"}) { // nothing comes of it
		return ""
	}
	enhanced := fmt.Sprintf("%d.%d.%d", f.Reply.Enh[0], f.Reply.Enh[1], f.Reply.Enh[2])
	same := v.Action.String() == string(a.Verdict) && f.Err == nil &&
		(a.Reason == "" || a.Reason == f.Reason) &&
		(a.Code == 0 || a.Code == f.Reply.Code) &&
		(a.Enhanced == "" || a.Enhanced == enhanced) &&
		strings.Contains(f.Reply.Text, a.Text) &&
		a.Ignored == f.Observed
	if same {
		return ""
	}
	return "got " + ShowVerdict(v) + ", want " + a.String()
}

// ShowVerdict spells a verdict for reports.
func ShowVerdict(v filters.Verdict) string {
	if v.Finding == nil {
		return v.Action.String()
	}
	if v.Finding.Err != nil {
		return "a failure (" + v.Finding.Err.Error() + ")"
	}
	words := []string{v.Action.String()}
	if v.Finding.Observed {
		words = append(words, "(ignored)")
	}
	if v.Finding.Reason != "" {
		words = append(words, "by "+v.Finding.Reason)
	}
	if v.Finding.Reply.Code != 0 {
		words = append(words, "with "+v.Finding.Reply.String())
	}
	return strings.Join(words, " ")
}

// String spells the answer as ShowVerdict does.
func (a Answer) String() string {
	words := []string{string(a.Verdict)}
	if a.Ignored {
		words = append(words, "(ignored)")
	}
	if a.Reason != "" {
		words = append(words, "by "+a.Reason)
	}
	if a.Code != 0 || a.Enhanced != "" || a.Text != "" {
		words = append(words, "with")
	}
	if a.Code != 0 {
		words = append(words, fmt.Sprint(a.Code))
	}
	if a.Enhanced != "" {
		words = append(words, a.Enhanced)
	}
	if a.Text != "" {
		words = append(words, a.Text)
	}
	return strings.Join(words, " ")
}

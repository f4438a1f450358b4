package filters_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

func TestPath(t *testing.T) {
	for raw, want := range map[string]string{
		"<a@example.org>": "a@example.org", "<>": "", "": "", "<postmaster>": "postmaster",
	} {
		p := filters.Path{Raw: raw}
		if p.String() != want || p.Null() != (raw == "<>") {
			t.Errorf("%q: %q, null %v", raw, p.String(), p.Null())
		}
	}
}

func TestParam(t *testing.T) {
	p := filters.Path{Params: "SIZE=10 body=8BITMIME  SMTPUTF8 AUTH=a=b \u017fIZE=11 size=12"}
	for _, tc := range []struct {
		keyword, value string
		ok             bool
	}{
		{"SIZE", "10", true}, {"size", "10", true}, {"Body", "8BITMIME", true},
		{"SMTPUTF8", "", true}, {"AUTH", "a=b", true}, {"RET", "", false}, {"SIZ", "", false},
	} {
		if v, ok := p.Param(tc.keyword); v != tc.value || ok != tc.ok {
			t.Errorf("%s = %q, %v, want %q, %v", tc.keyword, v, ok, tc.value, tc.ok)
		}
	}
	if _, ok := (&filters.Path{}).Param("SIZE"); ok {
		t.Error("a parameter of none")
	}
}

func TestReplyString(t *testing.T) {
	for _, tc := range []struct {
		r    filters.Reply
		want string
	}{
		{filters.Reply{}, ""},
		{filters.Reply{Code: 250, Text: "Ok"}, "250 Ok"},
		{filters.Reply{Code: 550, Enh: [3]uint16{5, 7, 1}, Text: "No\nnever"}, "550 5.7.1 No / never"},
		{filters.Reply{Code: 550, Enh: [3]uint16{5, 7, 1}}, "550 5.7.1"},
		{filters.Reply{Code: 354}, "354"},
	} {
		if got := tc.r.String(); got != tc.want {
			t.Errorf("String = %q, want %q", got, tc.want)
		}
	}
	for code, class := range map[uint16]int{250: 2, 354: 3, 421: 4, 450: 4, 550: 5, 0: 0} {
		r := filters.Reply{Code: code}
		if r.Permanent() != (class == 5) || r.Temporary() != (class == 4) {
			t.Errorf("%d: permanent %v, temporary %v", code, r.Permanent(), r.Temporary())
		}
	}
}

func TestVerdicts(t *testing.T) {
	for code, want := range map[uint16]filters.Action{
		550: filters.Reject, 502: filters.Reject, 252: filters.Reject, 450: filters.TempFail, 421: filters.Hangup, 521: filters.Hangup,
	} {
		v := filters.Refuse("why", code, [3]uint16{5, 1, 1}, "No")
		if v.Action != want || v.Finding.Reason != "why" || v.Finding.Reply.Code != code || v.Finding.Reply.Text != "No" {
			t.Errorf("Refuse %d = %v %+v", code, v.Action, v.Finding)
		}
	}
	if v := filters.Accepted("why"); v.Action != filters.Accept || v.Finding.Reason != "why" {
		t.Errorf("Accepted = %+v", v)
	}
	if v := filters.Failed(io.EOF); v.Action != filters.Continue || !errors.Is(v.Finding.Err, io.EOF) {
		t.Errorf("Failed = %+v", v)
	}
	if v := filters.Failed(nil); v.Finding.Err == nil {
		t.Error("a failure without an error would pass silently")
	}
}

func TestActionNames(t *testing.T) {
	if s := filters.Hangup.String() + " " + filters.Continue.String(); s != "hangup continue" {
		t.Error(s)
	}
	if s := filters.Action(99).String(); s != "action(99)" {
		t.Error(s)
	}
}

func TestStages(t *testing.T) {
	set := filters.StageSet(filters.Command, filters.Mail, filters.Connect)
	if set.String() != "connect mail command" {
		t.Errorf("String = %q", set)
	}
	if !slices.Equal(set.Each(), []filters.Stage{filters.Connect, filters.Mail, filters.Command}) {
		t.Errorf("Each = %v", set.Each())
	}
	if !set.Has(filters.Mail) || set.Has(filters.Rcpt) {
		t.Error("Has is wrong")
	}
	if s := filters.AllStages.String(); s != "connect helo mail rcpt data eoh body eom command conduct" {
		t.Errorf("AllStages = %q", s)
	}
	if s := filters.Stages(0).String() + filters.Stage(77).String(); s != "stage(77)" {
		t.Error(s)
	}
}

type mailOnly struct{}

func (mailOnly) Mail(context.Context, *filters.Transaction) filters.Verdict { return filters.Verdict{} }

type every struct{ mailOnly }

func (every) Connect(context.Context, *filters.Session) filters.Verdict { return filters.Verdict{} }
func (every) Helo(context.Context, *filters.Session) filters.Verdict    { return filters.Verdict{} }
func (every) Rcpt(context.Context, *filters.Transaction, *filters.Path) filters.Verdict {
	return filters.Verdict{}
}
func (every) Data(context.Context, *filters.Transaction) filters.Verdict    { return filters.Verdict{} }
func (every) Header(context.Context, *filters.Transaction) filters.Verdict  { return filters.Verdict{} }
func (every) Body(context.Context, *filters.Transaction) io.Writer          { return nil }
func (every) Message(context.Context, *filters.Transaction) filters.Verdict { return filters.Verdict{} }
func (every) Command(context.Context, *filters.Session, string, string) filters.Verdict {
	return filters.Verdict{}
}

func (every) Conduct(context.Context, *filters.Session, filters.Breach, []byte) filters.Verdict {
	return filters.Verdict{}
}

type narrowed struct{ every }

func (narrowed) Stages() filters.Stages { return filters.StageSet(filters.Rcpt, filters.EOM) }

// widened says more than it has methods for.
type widened struct{ mailOnly }

func (widened) Stages() filters.Stages { return filters.AllStages }

func TestStagesOf(t *testing.T) {
	for _, tc := range []struct {
		f    filters.Filter
		want filters.Stages
	}{
		{nil, 0}, {struct{}{}, 0}, {mailOnly{}, filters.StageSet(filters.Mail)}, {every{}, filters.AllStages},
		{narrowed{}, filters.StageSet(filters.Rcpt, filters.EOM)}, {widened{}, filters.StageSet(filters.Mail)},
	} {
		if got := filters.StagesOf(tc.f); got != tc.want {
			t.Errorf("%T: %v, want %v", tc.f, got, tc.want)
		}
	}
}

func TestNeeds(t *testing.T) {
	if s := (filters.WholeMessage | filters.DoQuarantine).String(); s != "hold the whole message, quarantine" {
		t.Error(s)
	}
	if s := filters.Needs(0).String(); s != "" {
		t.Error(s)
	}
}

func TestTransactionID(t *testing.T) {
	tx := filters.Transaction{Session: &filters.Session{ID: "x"}, Number: 12}
	if tx.ID() != "x.12" {
		t.Error(tx.ID())
	}
}

func TestDefine(t *testing.T) {
	type conf struct{ Limit int }
	k := filters.Define(filters.Kind{Name: "k"}, conf{Limit: 3}, func(_ filters.Env, c *conf) (filters.Filter, error) { return c.Limit, nil })
	c := k.Conf().(*conf)
	c.Limit = 5
	if other := k.Conf().(*conf); other.Limit != 3 {
		t.Error("configurations share their defaults")
	}
	if f, err := k.New(filters.Env{}, c); f != 5 || err != nil {
		t.Errorf("New = %v, %v", f, err)
	}
}

func TestAnnouncement(t *testing.T) {
	var a filters.Announcement
	a.LimitSize(0)
	a.LimitSize(-1)
	a.LimitRcpts(0)
	if a.Size != 0 || a.Rcpts != 0 {
		t.Errorf("%+v", a)
	}
	for _, n := range []int{20, 10, 30, 0} {
		a.LimitSize(int64(n))
		a.LimitRcpts(n)
	}
	if a.Size != 10 || a.Rcpts != 10 {
		t.Errorf("%+v", a)
	}
}

package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// Test is a session with the verdicts it is to meet.
type Test struct {
	Name    Word           `yaml:"name" required:"true" doc:"what is tested: any text, unlike that of other tests"`
	Doc     string         `yaml:"doc" doc:"why"`
	Session TestSession    `yaml:"session" doc:"the client and its session"`
	From    string         `yaml:"from" doc:"the sender, with parameters behind a space; empty for notifications"`
	To      []string       `yaml:"to" doc:"the recipients, each with parameters behind a space; user@example.com by default"`
	Message string         `yaml:"message" doc:"the message: a text of several lines, or the name of a file with it; one of a few lines by default"`
	Facts   map[string]any `yaml:"facts" doc:"facts in place of what filters would have set"`
	DNS     string         `yaml:"dns" doc:"what the DNS answers: records as in zone files, one a line, and NAME SERVFAIL, NAME DROP or NAME DELAY 2s; nothing by default"`
	Store   []Remembered   `yaml:"store" doc:"what is remembered from earlier sessions"`
	Want    Want           `yaml:"want" required:"true" doc:"what must come out: the verdict on it all, or a map of stages"`
}

// Remembered is an entry of the store.
type Remembered struct {
	Key   string `yaml:"key" required:"true" doc:"the key, which begins with the kind and a slash"`
	Value string `yaml:"value" doc:"the value"`
}

// TestSession is the session of a test.
type TestSession struct {
	Client   string   `yaml:"client" doc:"the client's address, 192.0.2.1 by default; with a port if it matters"`
	Name     string   `yaml:"name" doc:"the client's name as an MTA tells it by milter or XCLIENT"`
	Via      string   `yaml:"via" doc:"the address of the proxy that tells who the client is"`
	Local    string   `yaml:"local" doc:"the address the client connected to"`
	Listener string   `yaml:"listener" doc:"the name of the listener"`
	Hostname string   `yaml:"hostname" doc:"our own name"`
	Daemon   string   `yaml:"daemon" doc:"the MTA's name of its service"`
	Helo     string   `yaml:"helo" doc:"the argument of HELO or EHLO"`
	ESMTP    bool     `yaml:"esmtp" doc:"whether it is EHLO"`
	TLS      TestTLS  `yaml:"tls" doc:"the encryption"`
	Auth     TestAuth `yaml:"auth" doc:"the login"`
}

// TestTLS is the encryption of a test's session.
type TestTLS struct {
	Version string `yaml:"version" doc:"such as TLSv1.3"`
	Cipher  string `yaml:"cipher" doc:"the cipher suite"`

	ServerName  string `yaml:"server_name" doc:"the name that the client asks for"`
	Client      string `yaml:"client" doc:"the common name in the client's certificate"`
	Fingerprint string `yaml:"fingerprint" doc:"SHA-256 of that certificate, in hex"`
	Verified    bool   `yaml:"verified" doc:"whether it is signed by a trusted authority"`
}

// TestAuth is the login of a test's session.
type TestAuth struct {
	User string `yaml:"user" doc:"who has logged in"`
	Type string `yaml:"type" doc:"the mechanism"`
}

// SetDefaults fills in what a test need not spell.
func (t *Test) SetDefaults() {
	t.Session = TestSession{Client: "192.0.2.1", Local: "203.0.113.25:25", Listener: "mx", Hostname: "mx.example.org", Helo: "client.example", ESMTP: true}
	t.From = "sender@example.net"
	t.To = []string{"user@example.com"}
	t.Message = "From: sender@example.net\nSubject: test\n\nA message.\n"
}

// Want is what a test wants to come out. A stage that is not spelt may find
// anything.
type Want struct {
	Verdict    Answer            `yaml:"verdict" doc:"of the session as a whole: what the client hears in the end; continue if the message goes through"`
	Connect    Answer            `yaml:"connect" doc:"at connect"`
	Helo       Answer            `yaml:"helo" doc:"at HELO or EHLO"`
	Mail       Answer            `yaml:"mail" doc:"at MAIL"`
	Rcpt       Answer            `yaml:"rcpt" doc:"at RCPT, for each recipient"`
	Recipients map[string]Answer `yaml:"recipients" doc:"at RCPT, for the recipient that is the key"`
	Data       Answer            `yaml:"data" doc:"at DATA"`
	EOH        Answer            `yaml:"eoh" doc:"at the end of the header section"`
	EOM        Answer            `yaml:"eom" doc:"at the end of the message"`
	Rules      []string          `yaml:"rules" doc:"rules that must have matched"`
	NotRules   []string          `yaml:"not_rules" doc:"rules that must not have matched"`
	Headers    []string          `yaml:"headers" doc:"fields that the message must have in the end: a name, or name: value"`
	NotHeaders []string          `yaml:"not_headers" doc:"names of fields that it must not have"`
	Envelope   []string          `yaml:"envelope" doc:"the recipients it must go to in the end, in any order"`
	Tags       []string          `yaml:"tags" doc:"the tags that rules must have given, in any order"`
	Score      *int              `yaml:"score" doc:"the sum of the scores that rules must have given"`
}

// UnmarshalText reads the verdict alone.
func (w *Want) UnmarshalText(text []byte) error { return w.Verdict.UnmarshalText(text) }

// Answer is what a stage is to answer. The zero Answer is not tested.
type Answer struct {
	Verdict  AnswerWord `yaml:"verdict" required:"true" doc:"continue, accept, reject, tempfail, discard, quarantine or hangup; continue is also that a filter or rule is only observed"`
	Reason   string     `yaml:"reason" doc:"the rule, or the reason of another filter"`
	Code     uint16     `yaml:"code" doc:"the reply code"`
	Enhanced string     `yaml:"enhanced" doc:"the enhanced status code"`
	Text     string     `yaml:"text" doc:"what the reply must contain"`
	Ignored  bool       `yaml:"ignored" doc:"the verdict is only observed"`
}

// AnswerWord is a verdict as tests spell it.
type AnswerWord string

// Words returns the verdicts there are.
func (AnswerWord) Words() []string {
	return []string{"continue", "accept", "reject", "tempfail", "discard", "quarantine", "hangup"}
}

// UnmarshalText reads a verdict alone.
func (a *Answer) UnmarshalText(text []byte) error {
	words := AnswerWord("").Words()
	if !slices.Contains(words, string(text)) {
		hint := ""
		if w := strict.Nearest(string(text), words); w != "" {
			hint = ": did you mean " + w + "?"
		}
		return fmt.Errorf("want one of %s, got %s%s", strings.Join(words, ", "), quote(string(text)), hint)
	}
	*a = Answer{Verdict: AnswerWord(text)}
	return nil
}

// Check holds what is wanted to be something.
func (w *Want) Check(r *strict.Report) {
	one := w.Verdict.Verdict != "" || len(w.Recipients)+len(w.Rules)+len(w.NotRules)+len(w.Headers)+len(w.NotHeaders)+len(w.Envelope)+len(w.Tags) > 0 || w.Score != nil
	for _, s := range w.stages() {
		one = one || s.want.Verdict != ""
	}
	if !one {
		r.Missing("what is wanted", "write a verdict, or one for a stage")
	}
}

type stageWant struct {
	stage filters.Stage
	want  Answer
}

func (w *Want) stages() []stageWant {
	return []stageWant{
		{filters.Connect, w.Connect}, {filters.Helo, w.Helo}, {filters.Mail, w.Mail}, {filters.Rcpt, w.Rcpt},
		{filters.Data, w.Data}, {filters.EOH, w.EOH}, {filters.EOM, w.EOM},
	}
}

package milter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// What a filter finds at a stage is told there, in the words of the protocol.
func TestVerdicts(t *testing.T) {
	for _, s := range dialogue {
		for _, c := range []struct {
			v    filters.Verdict
			want string
		}{
			{filters.Verdict{}, "eom accept"},
			{verdict(filters.Accept), "eom accept"},
			{reject(), s.String() + " 550-5.7.1 Bad 100%%\r\n550 5.7.1 Very (id ID)"},
			{later(), s.String() + " 450 4.7.1 Soon (id ID)"},
			{verdict(filters.TempFail), s.String() + " 451 4.7.1 Please try again later (id ID)"},
			{filters.Refuse("drop", 521, [3]uint16{5, 7, 1}, "Go"), s.String() + " 421 4.7.1 Go (id ID)"},
			{verdict(filters.Discard), max(s, filters.Mail).String() + " discard"},
		} {
			t.Run(fmt.Sprint(s, " ", c.v.Action), func(t *testing.T) {
				d := open(t, says(s, c.v))
				m := d.ask()
				got := m.play(filters.Connect, filters.EOM, hello)
				if r := d.records("refused"); len(r) > 0 {
					got = strings.ReplaceAll(got, r[0].str("id"), "ID")
				}
				want := c.want
				if s == filters.Body && strings.HasPrefix(want, "body ") {
					want = "eoh " + want[len("body "):] // the sink has read the header section then
				}
				if got != want {
					t.Errorf("told %q, want %q", got, want)
				}
				m.Close()
			})
		}
	}
}

// A refusal that waits for RCPT is told there, though the MTA was to hear of
// nothing before.
func TestDelay(t *testing.T) {
	for _, s := range []filters.Stage{filters.Connect, filters.Helo, filters.Mail, filters.Rcpt} {
		d := open(t, says(s, reject()), delay(filters.Rcpt))
		m := d.ask()
		if w := m.play(filters.Connect, filters.EOM, hello); !strings.HasPrefix(w, "rcpt 550-5.7.1 Bad") {
			t.Errorf("at %v: told %q", s, w)
		}
		if r := d.only("refused"); r.str("from") != "alice@x.example" || r.str("stage") != s.String() {
			t.Errorf("at %v: log %v", s, r)
		}
		m.Close()
	}
}

func TestOneRecordEach(t *testing.T) {
	d := open(t, says(filters.Rcpt, filters.Verdict{}))
	m := d.ask()
	m.play(filters.Connect, filters.Helo, hello)
	for range 2 {
		if w := m.mail(); w != "eom accept" {
			t.Fatalf("told %q", w)
		}
	}
	m.Abort(nil)
	m.play(filters.Mail, filters.Rcpt, hello)
	m.Abort(nil)
	m.play(filters.Mail, filters.Rcpt, hello)
	m.Close() // as Sendmail does it
	accepted := d.records("accepted")
	if len(accepted) != 2 || accepted[0].str("id") == accepted[1].str("id") {
		t.Errorf("accepted: %v", accepted)
	}
	for _, r := range accepted {
		if r.str("queue_id") != "Q1" || r.str("reply") != "250 2.0.0 Passed to the MTA" || r.str("client") != "198.51.100.7:4711" {
			t.Errorf("%v", r)
		}
	}
	waitFor(t, func() bool { return len(d.records("aborted")) == 2 })
}

func TestSession(t *testing.T) {
	var s *filters.Session
	var tx *filters.Transaction
	f := &stub{seen: func(seen *filters.Session) { s = seen }, at: map[filters.Stage]func(context.Context, *filters.Transaction) filters.Verdict{
		filters.EOM: func(_ context.Context, seen *filters.Transaction) filters.Verdict {
			copied := filters.Transaction{From: seen.From, Rcpts: append([]*filters.Path(nil), seen.Rcpts...), Declared: seen.Declared, QueueID: seen.QueueID}
			tx = &copied
			return filters.Verdict{}
		},
	}}
	d := open(t, f)
	m := d.ask()
	m.macros.Set("{tls_version}", "TLSv1.3")
	m.macros.Set("{cipher}", "AES")
	m.macros.Set("{auth_type}", "PLAIN")
	m.macros.Set("{auth_authen}", "joe")
	if w := m.play(filters.Connect, filters.EOM, hello); w != "eom accept" {
		t.Fatal(w)
	}
	got := fmt.Sprint(s.Client, s.Local, s.ClientName, s.Daemon, s.Hostname, s.Helo, s.ESMTP, s.TLS.Version, s.TLS.Cipher, s.AuthType, s.AuthUser)
	want := "198.51.100.7:4711 192.0.2.25:25 client.example smtpd mx.example helo.example true TLSv1.3 AES PLAIN joe"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("session: %s", got)
	}
	if tx.From.Raw != "<alice@x.example>" || tx.From.Domain != "x.example" || tx.Declared != 100 || tx.QueueID != "Q1" || len(tx.Rcpts) != 1 {
		t.Errorf("transaction: %+v %+v", tx, tx.From)
	}
	m.Close()
}

// on_error is the chain's; a panic in a filter is one of its errors.
func TestOnError(t *testing.T) {
	for o, want := range map[chain.OnError]string{
		chain.ErrorTempFail: "mail 451", chain.ErrorReject: "mail 550", chain.ErrorContinue: "eom accept",
	} {
		d := open(t, when(filters.Mail, func(context.Context, *filters.Transaction) filters.Verdict { panic("oops") }), onError(o))
		m := d.ask()
		if w := m.play(filters.Connect, filters.EOM, hello); !strings.HasPrefix(w, want) {
			t.Errorf("%v: told %q", o, w)
		}
		m.Close()
	}
}

// A recipient that is refused does not keep others out.
func TestRecipients(t *testing.T) {
	d := open(t, &stub{rcpt: func(p *filters.Path) filters.Verdict {
		switch p.Local {
		case "bob":
			return reject()
		case "all":
			return verdict(filters.Accept)
		}
		return filters.Verdict{}
	}})
	m := d.ask()
	m.play(filters.Connect, filters.Mail, hello)
	for address, want := range map[string]string{"bob@y": "550-5.7.1 Bad", "carol@y": "continue", "all@y": "continue", `we ird>@y`: "continue", "@a:x@y": "continue"} {
		if w := m.told(m.Rcpt(address, "")); !strings.HasPrefix(w, want) {
			t.Errorf("%s: told %q", address, w)
		}
	}
	if w := m.told(m.Rcpt("a\nb@y", "")); !strings.HasPrefix(w, "553 5.1.3 Control") {
		t.Errorf("told %q", w)
	}
	if w := m.play(filters.Data, filters.EOM, hello); w != "eom accept" {
		t.Errorf("told %q", w)
	}
	if to := fmt.Sprint(d.only("accepted")["to"]); !strings.Contains(to, "carol@y") || !strings.Contains(to, "we ird>@y") || strings.Contains(to, "bob") {
		t.Errorf("log: %s", to)
	}
	m.Close()
}

// What is refused before the chain is asked is told where the MTA listens.
func TestBadSender(t *testing.T) {
	d := open(t, says(filters.EOM, filters.Verdict{})) // nothing is heard before EOM
	m := d.ask()
	m.play(filters.Connect, filters.Helo, hello)
	if w := m.told(m.Mail("a\rb@x", "")); w != "continue" {
		t.Errorf("told %q", w)
	}
	if w := m.play(filters.Rcpt, filters.EOM, hello); !strings.HasPrefix(w, "eom 553 5.1.7") {
		t.Errorf("told %q", w)
	}
	if w := m.mail(); w != "eom accept" {
		t.Errorf("the next message is told %q", w)
	}
	m.Close()
}

func TestUnknown(t *testing.T) {
	var got []string
	d := open(t, &stub{verb: func(verb, args string) filters.Verdict {
		got = append(got, verb+"|"+args)
		switch verb {
		case "EXPN":
			return filters.Refuse("no", 502, [3]uint16{5, 5, 1}, "No")
		case "HELP":
			return filters.Refuse("no", 252, [3]uint16{2, 0, 0}, "Yes")
		}
		return verdict(filters.Discard)
	}})
	m := d.ask()
	m.play(filters.Connect, filters.Helo, hello)
	for line, want := range map[string]string{
		"EXPN list": "502 5.5.1 No", "help": "continue", "": "continue", "auth PLAIN secret": "continue", "FROB": "continue",
	} {
		if w := m.told(m.Unknown(line, nil)); !strings.HasPrefix(w, want) {
			t.Errorf("%q: told %q", line, w)
		}
	}
	if all := strings.Join(got, " "); strings.Contains(all, "secret") || len(got) != 4 {
		t.Errorf("asked: %s", all)
	}
	if w := m.mail(); w != "eom accept" {
		t.Errorf("told %q", w)
	}
	m.Close()
}

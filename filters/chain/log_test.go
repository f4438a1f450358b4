package chain_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

var no = filters.Reply{Code: 554, Enh: [3]uint16{5, 6, 0}, Text: "No"}

// How a transaction ends, and its record.
func TestDone(t *testing.T) {
	const spam = "(id S1.1)"
	for _, tc := range []struct {
		name  string
		finds answers
		last  filters.Stage
		res   chain.Result // its Reply is the decision's if a filter spoke
		msg   string
		want  map[string]string
	}{
		{"accepted", nil, filters.EOM, taken, "accepted",
			map[string]string{"action": "accept", "reply": "250 2.0.0 Ok queued", "upstream_reply": "250 2.0.0 Ok queued", "filter": "", "reason": ""}},
		{"refused by a filter at EOM", answers{filters.EOM: reject()}, filters.EOM, chain.Result{}, "refused",
			map[string]string{"action": "reject", "filter": "f", "reason": "bad", "stage": "eom", "reply": "550 5.7.1 Bad " + spam, "upstream_reply": ""}},
		{"refused by a filter at DATA", answers{filters.Data: tempfail()}, filters.Data, chain.Result{}, "refused",
			map[string]string{"action": "tempfail", "filter": "f", "reason": "soon", "stage": "data"}},
		{"refused by a filter, client lost", answers{filters.EOM: reject()}, filters.EOM, chain.Result{Reason: "client_lost"}, "refused",
			map[string]string{"action": "reject", "filter": "f", "reason": "bad", "reply": ""}},
		{"refused by the upstream at EOM", nil, filters.EOM, chain.Result{Reply: no, Upstream: "554 5.6.0 No"}, "refused",
			map[string]string{"action": "reject", "filter": "upstream", "reason": "upstream", "stage": "eom", "reply": "554 5.6.0 No", "upstream_reply": "554 5.6.0 No"}},
		{"refused by the upstream for now", nil, filters.EOM, chain.Result{Reply: filters.Reply{Code: 451, Text: "Later"}, Upstream: "451 Later"}, "refused",
			map[string]string{"action": "tempfail", "filter": "upstream", "reply": "451 Later"}},
		{"refused by the upstream at DATA", nil, filters.Data, chain.Result{Reply: no, Upstream: "554 5.6.0 No"}, "refused",
			map[string]string{"filter": "upstream", "stage": "data"}},
		{"refused by the front end", nil, filters.EOM, chain.Result{Reply: no, Filter: "wire", Reason: "bare_lf"}, "refused",
			map[string]string{"filter": "wire", "reason": "bare_lf", "stage": "eom", "action": "reject"}},
		{"quarantined", answers{filters.Data: verdict(filters.Quarantine)}, filters.EOM, taken, "quarantined",
			map[string]string{"filter": "f", "reason": "why", "stage": "data", "action": "quarantine", "upstream_reply": taken.Upstream}},
		{"quarantine refused by the upstream", answers{filters.EOM: verdict(filters.Quarantine)}, filters.EOM, chain.Result{Reply: no, Upstream: "554 5.6.0 No"}, "refused",
			map[string]string{"filter": "upstream"}},
		{"discarded", answers{filters.EOM: verdict(filters.Discard)}, filters.EOM, chain.Result{}, "discarded",
			map[string]string{"action": "discard", "filter": "f", "reason": "why", "stage": "eom", "reply": "250 2.0.0 Ok"}},
		{"to be discarded, client lost", answers{filters.Data: verdict(filters.Discard)}, filters.Data, chain.Result{Reason: "client_lost"}, "aborted",
			map[string]string{"action": "abort", "reason": "client_lost"}},
		{"to be discarded, reset", answers{filters.Mail: verdict(filters.Discard)}, filters.Mail, chain.Result{Reply: ok, Reason: "reset"}, "aborted",
			map[string]string{"reason": "reset"}},
		{"reset", nil, filters.Rcpt, chain.Result{Reason: "reset"}, "aborted", map[string]string{"action": "abort", "reason": "reset"}},
		{"reset, acknowledged", nil, filters.Rcpt, chain.Result{Reply: ok, Reason: "reset"}, "aborted",
			map[string]string{"action": "abort", "reason": "reset"}},
		{"client lost", nil, filters.Data, chain.Result{Reason: "client_lost"}, "aborted", map[string]string{"reason": "client_lost"}},
		{"upstream lost", nil, filters.EOM, chain.Result{Reply: filters.Reply{Code: 451, Enh: [3]uint16{4, 4, 2}, Text: "Lost"}, Reason: "upstream_lost"}, "aborted",
			map[string]string{"reason": "upstream_lost", "reply": "451 4.4.2 Lost"}},
		{"no recipient yet", nil, filters.Mail, chain.Result{Reason: "reset"}, "aborted", map[string]string{"reason": "reset"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := start(t, filters.Rcpt, one(tc.finds, needs(filters.DoQuarantine)))
			d := k.until(tc.last)
			if tc.res == (chain.Result{}) {
				tc.res = told(d)
			}
			k.Done(tc.res)
			k.Close()
			r := k.only(tc.msg)
			for key, want := range tc.want {
				if r.str(key) != want {
					t.Errorf("%s = %q, want %q", key, r.str(key), want)
				}
			}
			checkWho(t, r, tc.last)
		})
	}
}

// checkWho looks for what every record of a transaction says.
func checkWho(t *testing.T, r record, last filters.Stage) {
	t.Helper()
	to, octets := "bob@example.net", 0.0
	if last == filters.Mail {
		to = ""
	}
	if last == filters.EOM {
		octets = float64(len(content))
	}
	for key, want := range map[string]string{
		"id": "S1.1", "listener": "mx", "client": "192.0.2.1:25000", "helo": "mx.example.org", "from": "alice@example.org",
	} {
		if r.str(key) != want {
			t.Errorf("%s = %q, want %q", key, r.str(key), want)
		}
	}
	if r.list("to") != to {
		t.Errorf("to = %v, want the list %q", r["to"], to)
	}
	if r["octets"] != octets {
		t.Errorf("octets = %v, want %v", r["octets"], octets)
	}
	if _, ok := r["seconds"].(float64); !ok {
		t.Errorf("seconds = %v", r["seconds"])
	}
}

func TestDoneMeasuresTheTransaction(t *testing.T) {
	var log bytes.Buffer
	e := env(&log)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e.Now = func() time.Time { return now }
	c, err := chain.Build(e, nil, chain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Start(context.Background(), session())
	r.Connect()
	now = now.Add(time.Hour)
	r.Mail(alice, 0)
	r.Rcpt(bob)
	now = now.Add(1234567 * time.Microsecond)
	r.Done(taken)
	if got := records(t, &log)[0]["seconds"]; got != 1.2346 {
		t.Errorf("seconds = %v", got)
	}
}

// Done twice, or after a refused MAIL, is one record.
func TestOneRecordPerTransaction(t *testing.T) {
	k := start(t, filters.Rcpt)
	k.until(filters.EOM)
	k.Done(taken)
	k.Done(chain.Result{Reason: "client_lost"})
	k.Close()
	k.only("accepted")

	k = start(t, filters.Connect, one(answers{filters.Mail: reject()}))
	k.Done(told(k.until(filters.Mail)))
	k.Close()
	k.only("refused")
}

// What the front end does not end by Done is ended by the next verb.
func TestAbort(t *testing.T) {
	for reason, next := range map[string]func(*talk){
		"helo":   func(k *talk) { k.Helo("again", true) },
		"mail":   func(k *talk) { k.Mail(bob, 0) },
		"closed": func(k *talk) { k.Close() },
	} {
		k := start(t, filters.Rcpt)
		k.until(filters.Data)
		next(k)
		if r := k.only("aborted"); r.str("reason") != reason || r.str("from") != "alice@example.org" || r.str("id") != "S1.1" || r.str("helo") != "mx.example.org" {
			t.Errorf("record = %v, want reason %s", r, reason)
		}
	}
}

func TestRecipientsRefused(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Rcpt: reject()}))
	wantAction(t, k.until(filters.Rcpt), filters.Reject)
	wantAction(t, k.Rcpt(carol), filters.Reject)
	k.Done(chain.Result{Reason: "reset"})
	list := k.records()
	if messages(list) != "refused, refused" {
		t.Fatalf("log = %v, want each refusal and no more", list)
	}
	for i, to := range []string{"bob@example.net", "carol@example.net"} {
		r := list[i]
		if r.list("to") != to || r.str("from") != "alice@example.org" || r.str("stage") != "rcpt" || r.str("id") != "S1.1" {
			t.Errorf("record = %v", r)
		}
	}
}

// A verb refused in between is not the end of the transaction's record.
func TestRefusedCommandInATransaction(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Command: reject()}))
	k.Connect()
	k.Helo("h", true)
	k.Mail(alice, 0)
	k.ask(filters.Command)
	k.Done(chain.Result{Reason: "reset"})
	if got := k.messages(); got != "refused, aborted" {
		t.Errorf("log = %s", got)
	}
}

// What filters still learn ends with what it was learnt for.
func TestFactsEnd(t *testing.T) {
	fact := filters.NewFact[int]("f.n", "")
	ended := ""
	learn := func(what string) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) { <-ctx.Done(); ended += what; return 0, ctx.Err() }
	}
	k := start(t, filters.Rcpt)
	k.Connect()
	fact.Go(k.Session(), learn("session"))
	k.Helo("h", true)
	for range 2 {
		k.Mail(alice, 0)
		fact.Go(k.Transaction(), learn("mail "))
		k.Done(chain.Result{Reason: "reset"})
	}
	if ended != "mail mail " {
		t.Errorf("ended: %q after the transactions", ended)
	}
	k.Close()
	if ended != "mail mail session" {
		t.Errorf("ended: %q after the session", ended)
	}
}

func TestRefusedByUpstream(t *testing.T) {
	k := start(t, filters.Rcpt)
	k.until(filters.Mail)
	k.Rcpt(bob)
	k.Rcpt(carol)
	k.Refused(bob, no)
	if rcpts := k.Transaction().Rcpts; len(rcpts) != 1 || rcpts[0] != carol {
		t.Errorf("recipients = %v", rcpts)
	}
	r := k.only("refused")
	for key, want := range map[string]string{
		"stage": "rcpt", "filter": "upstream", "reason": "upstream", "action": "reject",
		"reply": "554 5.6.0 No", "upstream_reply": "554 5.6.0 No", "from": "alice@example.org",
	} {
		if r.str(key) != want {
			t.Errorf("%s = %q, want %q", key, r.str(key), want)
		}
	}
	if r.list("to") != "bob@example.net" {
		t.Errorf("to = %v", r["to"])
	}
	k.Done(taken)
	if r := k.only("accepted"); r.list("to") != "carol@example.net" {
		t.Errorf("record = %v", r)
	}
}

func TestSenderRefusedByUpstream(t *testing.T) {
	k := start(t, filters.Rcpt)
	k.until(filters.Mail)
	k.Refused(nil, filters.Reply{Code: 450, Text: "Later"})
	if k.Transaction() != nil {
		t.Error("the transaction goes on")
	}
	k.Close()
	if r := k.only("refused"); r.str("stage") != "mail" || r.str("action") != "tempfail" || r.list("to") != "" {
		t.Errorf("record = %v", r)
	}
}

func TestAllRecipientsRefusedByUpstream(t *testing.T) {
	k := start(t, filters.Rcpt)
	k.until(filters.Rcpt)
	k.Refused(bob, no)
	k.Close()
	k.only("refused")
}

func TestNullReversePath(t *testing.T) {
	k := start(t, filters.Rcpt)
	k.Connect()
	k.Helo("h", true)
	k.Mail(&filters.Path{Raw: "<>"}, 0)
	k.Rcpt(bob)
	k.Done(taken)
	if from, ok := k.only("accepted")["from"].(string); !ok || from != "" {
		t.Errorf("from = %q", from)
	}
}

// What a client sends must not make a second record, nor another one's field.
func TestControlCharactersInTheLog(t *testing.T) {
	evil := "a\r\nmsg=accepted \x00\x1b[2J\" from=\xff\u2028"
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			e := env(&log)
			e.Log = slog.New(handler(&log))
			c, err := chain.Build(e, []chain.Spec{one(answers{filters.Rcpt: filters.Refuse("bad", 550, [3]uint16{5, 1, 1}, evil)})}, chain.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r := c.Start(context.Background(), session())
			r.Connect()
			r.Helo(evil, true)
			r.Mail(path(evil), 0)
			if d := r.Rcpt(path(evil)); strings.ContainsAny(d.Reply.Text, "\r\x00\x1b") {
				t.Errorf("reply text = %q", d.Reply.Text)
			}
			r.Done(chain.Result{Reason: "reset"})
			text := log.String()
			if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\r\x00\x1b") || strings.Contains(text, "\u2028") {
				t.Errorf("log = %q", text)
			}
		})
	}
}

// Whoever looks for a client sees by whom it was told of, whether its connection
// was encrypted, and who has logged in.
func TestRecordsOfTheConnection(t *testing.T) {
	var log bytes.Buffer
	c, err := chain.Build(env(&log), nil, chain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := session()
	s.Via = netip.MustParseAddrPort("198.51.100.9:4711")
	s.TLS = filters.TLS{Version: "TLSv1.3"}
	s.AuthType, s.AuthUser = "PLAIN", "joe"
	r := c.Start(context.Background(), s)
	r.Connect()
	r.Mail(alice, 0)
	r.Done(taken)
	got := records(t, &log)[0]
	for key, want := range map[string]string{"via": "198.51.100.9:4711", "tls": "TLSv1.3", "user": "joe"} {
		if got.str(key) != want {
			t.Errorf("%s = %q, want %q", key, got.str(key), want)
		}
	}
}

package upstream_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// probed plays the end of a probe: what it asks, and how that is answered.
func (m *mta) probed(invalid, existing string) {
	m.t.Helper()
	m.answer("MAIL FROM:<>", "250 2.1.0 Ok")
	m.answer("RCPT TO:<open-relay-test@mailweir.invalid>", invalid)
	m.answer("RCPT TO:<open-relay-test@example.com>", existing)
	m.answer("RSET", "250 2.0.0 Ok")
	m.answer("QUIT", "221 bye")
}

const denied, taken = "554 5.7.1 Relay access denied", "250 2.1.5 Ok"

// introduces plays an upstream up to the reply to EHLO.
func introduces(m *mta) {
	m.say("220 mx.example ESMTP")
	m.answer("EHLO relay.example", "250-mx.example", "250-PIPELINING", "250 XCLIENT ADDR")
}

// knows plays one up to the second EHLO, of the client that it has been told of.
func knows(m *mta) {
	introduces(m)
	m.answer("XCLIENT ADDR=198.51.100.1", "220 mx.example")
	m.answer("EHLO relay.example", "250-mx.example", "250 SIZE 10")
}

// found is the report about a server that is as it should be, changed.
func found(identity upstream.Identity, change func(*upstream.Report)) upstream.Report {
	r := upstream.Report{Group: "mx", Greeting: "220 mx.example ESMTP", Identity: identity, Taken: true, Relay: upstream.RelayRefused, Reply: denied}
	r.Keywords = []string{"PIPELINING", "XCLIENT ADDR"}
	if identity == upstream.XCLIENT {
		r.Keywords = []string{"SIZE 10"}
	}
	if change != nil {
		change(&r)
	}
	return r
}

// probes are servers, and what a probe finds out about them.
var probes = []struct {
	name     string
	identity upstream.Identity
	script   func(*mta)
	want     upstream.Report
	err      string // its words
	advice   string // its words
}{
	{"denied", upstream.NoIdentity, func(m *mta) {
		introduces(m)
		m.probed(denied, denied)
	}, found(upstream.NoIdentity, nil), "", ""},
	{"open by trust", upstream.NoIdentity, func(m *mta) {
		introduces(m)
		m.probed("450 4.1.2 Domain not found", taken)
	}, found(upstream.NoIdentity, func(r *upstream.Report) { r.Relay, r.Reply = upstream.RelayOpen, taken }), "",
		"because it comes from 127.0.0.1: take that out of mynetworks"},
	{"open to all", upstream.XCLIENT, func(m *mta) {
		knows(m)
		m.probed(taken, denied)
	}, found(upstream.XCLIENT, func(r *upstream.Report) { r.Relay, r.Reply = upstream.RelayOpen, taken }), "",
		"it takes mail from 198.51.100.1 to anywhere"},
	{"denied to the client", upstream.XCLIENT, func(m *mta) {
		knows(m)
		m.probed(denied, denied)
	}, found(upstream.XCLIENT, nil), "", ""},
	{"not clear", upstream.NoIdentity, func(m *mta) {
		introduces(m)
		m.probed(denied, "550 5.1.10 nullMX")
	}, found(upstream.NoIdentity, func(r *upstream.Report) { r.Relay, r.Reply = upstream.RelayUnclear, "550 5.1.10 nullMX" }), "", ""},
	{"denied at MAIL", upstream.NoIdentity, func(m *mta) {
		introduces(m)
		m.answer("MAIL FROM:<>", "550 5.7.1 go away")
		m.answer("QUIT", "221 bye")
	}, found(upstream.NoIdentity, func(r *upstream.Report) { r.Reply = "550 5.7.1 go away" }), "", ""},
	{"not a client's address", upstream.Transparent, func(m *mta) {
		introduces(m)
		m.answer("QUIT", "221 bye")
	}, found(upstream.Transparent, func(r *upstream.Report) { r.Relay, r.Reply = upstream.NotTested, "" }), "", "try from outside"},
	{"identity not taken", upstream.XFORWARD, introduces, found(upstream.XFORWARD, func(r *upstream.Report) {
		r.Taken, r.Relay, r.Reply = false, upstream.NotTested, ""
	}), "set smtpd_authorized_xforward_hosts = 127.0.0.1", ""},
	{"the probe is refused", upstream.XCLIENT, func(m *mta) {
		introduces(m)
		m.answer("XCLIENT ADDR=198.51.100.1", "554 5.7.1 blocked")
	}, found(upstream.XCLIENT, func(r *upstream.Report) {
		r.Relay, r.Reply, r.Keywords = upstream.NotTested, "", []string{"PIPELINING", "XCLIENT ADDR"}
	}), "refuses the client: 554 5.7.1 blocked: the probe comes as 198.51.100.1", ""},
	{"no greeting", upstream.NoIdentity, func(m *mta) { m.say("554 5.3.2 out of order") }, upstream.Report{Group: "mx", Greeting: "554 5.3.2 out of order"},
		"greeting 554 5.3.2 out of order", ""},
}

func TestProbe(t *testing.T) {
	for _, c := range probes {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, c.script)
			got := behind(t, addr, upstream.Options{Identity: c.identity}).group.Probe(t.Context(), &patient)
			if len(got) != 1 {
				t.Fatal(got)
			}
			r := got[0]
			if bad := c.err != "" || r.Relay == upstream.RelayOpen; r.Bad() != bad || (r.Error != nil) != (c.err != "") {
				t.Errorf("bad is %v: %v", r.Bad(), r.Error)
			}
			if r.Error != nil && !strings.Contains(r.Error.Error(), c.err) || !strings.Contains(r.Advice, c.advice) || (r.Advice == "") != (c.advice == "") {
				t.Errorf("%v; advice %q", r.Error, r.Advice)
			}
			r.Error, r.Advice, c.want.Server = nil, "", addr
			if diff := cmp.Diff(c.want, r); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a probe tells of TLS.
func TestProbeTLS(t *testing.T) {
	ca := peer.NewAuthority(t)
	good, expired := ca.Server(t, "127.0.0.1", "mx.example"), ca.Issue(t, peer.Expired("127.0.0.1"))
	for _, c := range []struct {
		name     string
		mode     upstream.TLSMode
		shows    *peer.Certificate
		want     certs.Client
		verified bool
		err, tls string // words of what is wrong
	}{
		{"verified", upstream.RequireTLS, good, certs.Client{CA: ca.File, Verify: true}, true, "", ""},
		{"by its fingerprint", upstream.RequireTLS, expired, certs.Client{Fingerprints: []string{expired.Fingerprint()}}, true, "", ""},
		{"any", upstream.RequireTLS, good, certs.Client{}, false, "", ""},
		{"expired", upstream.RequireTLS, expired, certs.Client{CA: ca.File, Verify: true}, false, "certificate has expired", ""},
		{"expired, in clear then", upstream.Opportunistic, expired, certs.Client{CA: ca.File, Verify: true}, false, "", "certificate has expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, func(m *mta) {
				if m.n == 0 && (m.startsTLS(shown(c.shows)) != nil || c.err != "" || c.tls != "") {
					return
				} else if m.n > 0 {
					m.say("220 mx.example")
				}
				m.answer("EHLO relay.example", "250 mx.example")
				m.probed("554 5.7.1 no", "554 5.7.1 no")
			})
			s := behind(t, addr, upstream.Options{TLS: c.mode, TLSConfig: trusting(t, c.want)})
			r := s.group.Probe(t.Context(), &patient)[0]
			if r.TLS == nil || r.TLS.Verified != c.verified || r.TLS.Version != "TLS 1.3" || r.TLS.Cipher == "" ||
				!r.TLS.NotAfter.Equal(c.shows.Parsed.NotAfter) || r.TLS.Names[len(r.TLS.Names)-1] != "127.0.0.1" {
				t.Errorf("%+v", r.TLS)
			}
			if !saysSo(r.Error, c.err) || !saysSo(r.TLSError, c.tls) || r.Bad() != (c.err != "" || c.tls != "") {
				t.Errorf("%v; %v", r.Error, r.TLSError)
			}
			if log := s.log.Take(); log != "" {
				t.Errorf("it is told in the log too: %s", log)
			}
		})
	}
}

// saysSo reports whether an error has those words; there is none for "".
func saysSo(err error, words string) bool {
	if words == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), words)
}

// A server that cannot be reached is told of, and none goes unmentioned.
func TestProbeUnreachable(t *testing.T) {
	s := behind(t, "127.0.0.1:1", upstream.Options{})
	r := s.group.Probe(t.Context(), &patient)
	if len(r) != 1 || r[0].Error == nil || !r[0].Bad() || r[0].Server != "127.0.0.1:1" {
		t.Errorf("%+v", r)
	}
}

package proxy_test

import (
	"fmt"
	"net/smtp"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// secured is a mailweir with TLS on both sides, before a Postfix.
type secured struct {
	ca      *peer.Authority
	sink    *peer.Recorder
	postfix *peer.PostfixInstance
	relay   *peer.Relay
	doors   []string // of its listeners
}

// newSecured starts one whose listeners have these settings of TLS besides their
// certificates. CA in them is the file of its authority.
func newSecured(t *testing.T, binary peer.Mailweir, settings ...string) secured {
	t.Helper()
	s := secured{ca: peer.NewAuthority(t), sink: peer.Sink(t)}
	s.postfix = peer.Postfix(t, peer.PostfixOptions{Relayhost: s.sink.Addr, TLS: s.ca.Server(t, "mx.test.example")})
	ours, other := s.ca.Server(t, "relay.test.example"), s.ca.Server(t, "other.test.example")
	var listeners []string
	for _, more := range settings {
		listeners = append(listeners, fmt.Sprintf(`upstream: {address: %q, tls: {mode: required, ca: %s, server_name: mx.test.example}},
    tls: {certificates: [{certificate: %s, key: %s}, {certificate: %s, key: %s}], %s}`,
			s.postfix.Addr, s.ca.File, ours.CertFile, ours.KeyFile, other.CertFile, other.KeyFile, strings.ReplaceAll(more, "CA", s.ca.File)))
	}
	s.relay, s.doors = served(t, binary, peer.RelayOptions{Chain: tells(t)}, listeners...)
	return s
}

// arrives wants a message to that recipient that has come encrypted on both
// sides, from a client of whom that is known.
func (s secured) arrives(t *testing.T, to, version, serverName, client string) {
	t.Helper()
	m := messageTo(t, s.sink, to)
	if !strings.Contains(m.Received(), "with ESMTPS ") {
		t.Errorf("not encrypted behind mailweir: %s", m.Received())
	}
	if got := knows(m); !strings.Contains(got, " "+version+" "+serverName+" "+client) {
		t.Errorf("rules know %q, want %s %s %s", got, version, serverName, client)
	}
	if record := accepted(t, s.relay, to); record["tls"] != version {
		t.Errorf("the log says tls=%v, want %s", record["tls"], version)
	}
}

// typed is a session of openssl's, from EHLO on.
func typed(to string) string {
	return "EHLO client.test.example\nMAIL FROM:<from@test.example>\nRCPT TO:<" + to +
		">\nDATA\nSubject: a test\n\nRain\nQ\n.\nQUIT\n"
}

// Clients of all kinds bring mail by STARTTLS and by TLS from the first octet.
func testTLS(t *testing.T, binary peer.Mailweir) {
	s := newSecured(t, binary, "require: true", "implicit: true", `require: true, min_version: "1.3"`)
	start, implicit, strict := s.doors[0], s.doors[1], s.doors[2]
	for name, args := range map[string][]string{
		"start":    {start, "TLSv1.3", "-starttls", "smtp"},
		"start12":  {start, "TLSv1.2", "-starttls", "smtp", "-tls1_2"},
		"first":    {implicit, "TLSv1.3"},
		"first12":  {implicit, "TLSv1.2", "-tls1_2"},
		"strictly": {strict, "TLSv1.3", "-starttls", "smtp"},
	} {
		t.Run("openssl "+name, func(t *testing.T) {
			to := "openssl-" + name + "@test.example"
			out, exit := peer.OpenSSL(t, args[0], typed(to), append(args[2:],
				"-servername", "other.test.example", "-verify_hostname", "other.test.example", "-verify_return_error", "-CAfile", s.ca.File)...)
			if exit != 0 || !strings.Contains(out, "Verify return code: 0 (ok)") {
				t.Fatalf("openssl ended with status %d:\n%s", exit, out)
			}
			s.arrives(t, to, args[1], "other.test.example", "")
		})
	}
	t.Run("openssl too old", func(t *testing.T) {
		out, exit := peer.OpenSSL(t, strict, typed("old@test.example"), "-starttls", "smtp", "-tls1_2")
		if exit == 0 || !strings.Contains(out, "alert protocol version") {
			t.Errorf("openssl ended with status %d:\n%s", exit, out)
		}
		peer.Logged(t, s.relay, `"msg":"TLS handshake failed"`)
	})
	t.Run("swaks", func(t *testing.T) {
		swaked(t, start, "swaks-start@test.example", "--tls")
		swaked(t, start, "swaks-pipe@test.example", "--tls", "--pipeline")
		swaked(t, implicit, "swaks-first@test.example", "--tlsc")
		for _, to := range []string{"start", "pipe", "first"} {
			s.arrives(t, "swaks-"+to+"@test.example", "TLSv1.3", "", "")
		}
		if out, exit := peer.Swaks(t, start, "--to", "clear@test.example"); exit == 0 || !strings.Contains(out, "530 5.7.0 ") {
			t.Errorf("in clear swaks ended with status %d:\n%s", exit, out)
		}
	})
	t.Run("Go", func(t *testing.T) {
		c, err := smtp.Dial(start)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.StartTLS(s.ca.TLS("relay.test.example")); err != nil {
			t.Fatal(err)
		}
		if err := sent(c, "go@test.example", "Subject: a test\r\n\r\nbody\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		s.arrives(t, "go@test.example", "TLSv1.3", "relay.test.example", "")
	})
	if n := len(s.sink.Messages()); n != 9 {
		t.Errorf("%d messages, want 9", n)
	}
	inPeace(t, s.relay.Log())
}

// sent sends a message with net/smtp.
func sent(c *smtp.Client, to, text string) error {
	if err := c.Mail("from@test.example"); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	return w.Close()
}

// Certificates of clients are asked for, and required, as the listener says.
func testClientCertificates(t *testing.T, binary peer.Mailweir) {
	s := newSecured(t, binary, "client_certificates: require, client_ca: CA", "client_certificates: request, client_ca: CA",
		"client_certificates: require, client_ca: CA, implicit: true")
	joe, stranger := s.ca.Client(t, "joe.test.example"), peer.NewAuthority(t).Client(t, "joe.test.example")
	for i, test := range []struct {
		name   string
		addr   string
		shown  *peer.Certificate
		refuse bool
		known  string // tls.client and tls.verified
	}{
		{"required", s.doors[0], joe, false, "joe.test.example true "},
		{"required, none", s.doors[0], nil, true, ""},
		{"required, a stranger's", s.doors[0], stranger, true, ""},
		{"requested", s.doors[1], joe, false, "joe.test.example true "},
		{"requested, none", s.doors[1], nil, false, " false "},
		{"requested, a stranger's", s.doors[1], stranger, false, "joe.test.example false "},
		{"required at once", s.doors[2], joe, false, "joe.test.example true "},
		{"required at once, none", s.doors[2], nil, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := fmt.Sprintf("to%d@test.example", i)
			args := []string{"--tls"}
			if test.addr == s.doors[2] {
				args = []string{"--tlsc"}
			}
			if test.shown != nil {
				args = append(args, "--tls-cert", test.shown.CertFile, "--tls-key", test.shown.KeyFile)
			}
			if test.refuse {
				if out, exit := peer.Swaks(t, test.addr, append(args, "--to", to)...); exit == 0 {
					t.Errorf("swaks ended with status %d:\n%s", exit, out)
				}
				return
			}
			swaked(t, test.addr, to, args...)
			s.arrives(t, to, "TLSv1.3", "", test.known)
		})
	}
	if n := len(s.sink.Messages()); n != 5 {
		t.Errorf("%d messages, want 5", n)
	}
	if n := len(s.relay.Records(t, "TLS handshake failed")); n != 3 {
		t.Errorf("the log has %d handshakes that failed, want 3", n)
	}
}

// Behind Sendmail all of it works too, which has no identities.
func testBehindSendmail(t *testing.T, binary peer.Mailweir) {
	ca := peer.NewAuthority(t)
	sink := peer.Sink(t)
	sendmail := peer.Sendmail(t, peer.SendmailOptions{Relayhost: sink.Addr, TLS: ca.Server(t, "sm.test.example")})
	upstream := func(keys string) string { return fmt.Sprintf("upstream: {address: %q, %s}", sendmail.Addr, keys) }
	relay, doors := served(t, binary, peer.RelayOptions{}, upstream(""),
		upstream("tls: {mode: required, ca: "+ca.File+", server_name: sm.test.example}"),
		upstream("tls: {mode: opportunistic}"),
		upstream("identity: xclient"),
		upstream("reuse: true, tls: {mode: required, ca: "+ca.File+", server_name: elsewhere.example}"),
	)
	for i, addr := range doors[:3] {
		for j, args := range [][]string{nil, {"--pipeline"}, {"--protocol", "SMTP"}} {
			to := fmt.Sprintf("to%d%d@test.example", i, j)
			swaked(t, addr, to, args...)
			received := messageTo(t, sink, to).Received()
			if encrypted := strings.Contains(received, "(version=TLSv1.3 "); encrypted != (i > 0) {
				t.Errorf("listener %d: Received: %s", i, received)
			}
		}
	}
	for i, hint := range []string{"Exim and Sendmail have no XCLIENT", "certificate is valid for sm.test.example, not elsewhere.example"} {
		c := peer.Dial(t, doors[3+i])
		c.Do("421 4.3.2 ", "EHLO client.test.example")
		peer.Logged(t, relay, `"msg":"upstream failed".*`+hint)
	}
	if n := len(sink.Messages()); n != 9 {
		t.Errorf("%d messages, want 9", n)
	}
}

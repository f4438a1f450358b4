package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Users log in through mailweir, which knows no passwords, to a Postfix that asks
// Dovecot. Rules and log know who they are, and guessing comes to an end.
func testLogins(t *testing.T, binary peer.Mailweir) {
	const joe, password = "joe@test.example", "s3cret, with space"
	postfix, relay, sink := newLogins(t, binary, map[string]string{joe: password, "jane": "secret"})
	t.Run("right", func(t *testing.T) { testRight(t, relay, postfix, sink, joe, password) })
	t.Run("SCRAM", func(t *testing.T) {
		c := loginClient(t, relay, "127.0.0.31")
		if reply := c.AuthSCRAM("jane", "wrong"); !strings.HasPrefix(reply, "535") {
			t.Fatalf("a wrong password gives %q", reply)
		}
		if reply := c.AuthSCRAM("jane", "secret"); !strings.HasPrefix(reply, "235") {
			t.Fatalf("the right password gives %q", reply)
		}
		c.Do("503", "AUTH PLAIN")
		deliver(c, "scram@test.example")
		c.Quit()
		peer.Logged(t, postfix, `sasl_method=SCRAM-SHA-256, sasl_username=jane$`)
		peer.Logged(t, relay, `"msg":"accepted".*"user":"jane"`)
	})
	t.Run("XCLIENT", func(t *testing.T) {
		login := []string{"--tls", "--local-interface", "127.0.0.34", "--auth", "PLAIN", "--auth-user", joe, "--auth-password"}
		if out, exit := peer.Swaks(t, relay.More[1], append(login, "guess", "--to", "to@test.example")...); exit != 28 {
			t.Errorf("a wrong password: swaks ended with status %d:\n%s", exit, out)
		}
		peer.Logged(t, postfix, `unknown\[127\.0\.0\.34\]: SASL PLAIN authentication failed`)
		swaked(t, relay.More[1], "xclient@elsewhere.example", append(login, password)...)
		sees(t, postfix, messageTo(t, sink, "xclient@elsewhere.example"), "unknown", "127.0.0.34")
		peer.Logged(t, postfix, `client=unknown\[127\.0\.0\.34\], sasl_method=PLAIN, sasl_username=`+joe+`$`)
	})
	t.Run("wrong", func(t *testing.T) { testWrong(t, relay, joe) })
	t.Run("in clear", func(t *testing.T) {
		c := peer.Dial(t, relay.Addr)
		if hello := c.Hello(); strings.Contains(hello, "AUTH") {
			t.Errorf("AUTH is offered in clear:\n%s", hello)
		}
		c.Do("538 5.7.11", "AUTH PLAIN AGpvZQBwYXNzd29yZA==")
		c.Quit()
		swaked(t, relay.More[0], "clear@test.example", "--auth", "PLAIN", "--auth-user", joe, "--auth-password", password)
	})
	for _, secret := range []string{password, "czNjcmV0", "AGpvZQ", "guess"} {
		if strings.Contains(relay.Log(), secret) {
			t.Errorf("mailweir logs %q", secret)
		}
	}
}

// testRight logs in with each mechanism that swaks knows.
func testRight(t *testing.T, relay *peer.Relay, postfix *peer.PostfixInstance, sink *peer.Recorder, user, password string) {
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		t.Run(mechanism, func(t *testing.T) {
			to := strings.ToLower(mechanism) + "@elsewhere.example"
			swaked(t, relay.Addr, to, "--tls", "--auth", mechanism, "--auth-user", user, "--auth-password", password)
			m := messageTo(t, sink, to)
			if !strings.Contains(m.Received(), "(Authenticated sender: "+user+")") || !strings.Contains(m.Received(), " with ESMTPSA ") {
				t.Errorf("no login in %s", m.Received())
			}
			if !strings.HasSuffix(knows(m), " "+mechanism+" "+user) {
				t.Errorf("rules know %q", knows(m))
			}
			if record := accepted(t, relay, to); record["user"] != user {
				t.Errorf("the log knows user=%v", record["user"])
			}
			peer.Logged(t, postfix, `sasl_method=`+mechanism+`, sasl_username=`+user+`$`)
		})
	}
	if out, exit := peer.Swaks(t, relay.Addr, "--tls", "--to", "nobody@elsewhere.example"); exit == 0 || !strings.Contains(out, "554 5.7.1 ") {
		t.Errorf("without a login swaks ended with status %d:\n%s", exit, out)
	}
}

// loginClient returns a client from that address that may log in.
func loginClient(t *testing.T, relay *peer.Relay, source string) *peer.Client {
	t.Helper()
	c := peer.DialFrom(t, source, relay.Addr)
	c.Expect("220")
	c.Hello()
	c.StartTLS()
	if hello := c.Hello(); !strings.Contains(hello, "SCRAM-SHA-256") {
		t.Fatalf("no mechanisms:\n%s", hello)
	}
	return c
}

// testWrong guesses from one address, over several sessions and both listeners.
// Others are not concerned.
func testWrong(t *testing.T, relay *peer.Relay, user string) {
	for i, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		out, exit := peer.Swaks(t, relay.Addr, "--tls", "--to", "to@test.example", "--local-interface", "127.0.0.32",
			"--auth", mechanism, "--auth-user", user, "--auth-password", "guess")
		if exit != 28 || !strings.Contains(out, "535 5.7.8 ") {
			t.Fatalf("%d: swaks ended with status %d:\n%s", i, exit, out)
		}
	}
	c := peer.DialFrom(t, "127.0.0.32", relay.More[0])
	c.Expect("220")
	c.Hello()
	if reply := c.AuthSCRAM(user, "guess"); !strings.HasPrefix(reply, "535") {
		t.Errorf("the fourth guess gives %q", reply)
	}
	c.Do("421 4.7.0 ", "AUTH PLAIN")
	if more, err := c.Reply(); err == nil {
		t.Errorf("the session goes on: %q", more)
	}
	c = loginClient(t, relay, "127.0.0.32")
	c.Do("421 4.7.0 ", "AUTH LOGIN")
	c = loginClient(t, relay, "127.0.0.33")
	if reply := c.AuthSCRAM("jane", "secret"); !strings.HasPrefix(reply, "235") {
		t.Errorf("somebody else hears %q", reply)
	}
	failed := 0
	for _, record := range relay.Records(t, "log-in failed") {
		if strings.HasPrefix(record["client"].(string), "127.0.0.32:") {
			if failed++; record["failures"] != float64(failed) {
				t.Errorf("failure %d is logged as number %v", failed, record["failures"])
			}
		}
	}
	if failed != 4 {
		t.Errorf("the log has %d failures, want 4", failed)
	}
	peer.Logged(t, relay, `"msg":"refused".*"reason":"auth_failures"`)
}

// newLogins starts a mailweir before a Postfix that lets those users in. Of its
// listeners the first is for logins over TLS, the next for those in clear too, and
// the last tells Postfix of the client.
func newLogins(t *testing.T, binary peer.Mailweir, users map[string]string) (postfix *peer.PostfixInstance, relay *peer.Relay, sink *peer.Recorder) {
	t.Helper()
	ca := peer.NewAuthority(t)
	sink = peer.Sink(t)
	dovecot := peer.Dovecot(t, peer.DovecotOptions{Users: users})
	authenticated := map[string]string{
		"smtpd_relay_restrictions": "permit_sasl_authenticated, reject", "smtpd_tls_auth_only": "yes",
	}
	postfix = peer.Postfix(t, peer.PostfixOptions{
		Relayhost: sink.Addr, Logins: dovecot, TLS: ca.Server(t, "mx.test.example"), Main: authenticated,
		Services: []map[string]string{peer.Settings(peer.TakesXCLIENT(), authenticated, map[string]string{"mynetworks": ""})},
	})
	ours := ca.Server(t, "relay.test.example")
	listener := func(addr, upstream, auth string) string {
		return fmt.Sprintf(`upstream: {address: %q, %s tls: {mode: required, ca: %s, server_name: mx.test.example}},
    tls: {certificates: [{certificate: %s, key: %s}]}, auth: {%s max_failures: 4}`,
			addr, upstream, ca.File, ours.CertFile, ours.KeyFile, auth)
	}
	relay = binary.RelayWith(t, peer.RelayOptions{
		Listener: listener(postfix.Addr, "", ""),
		More: []string{
			listener(postfix.Addr, "", "without_tls: true,"),
			listener(postfix.Services[0], "identity: xclient,", ""),
		},
		Chain: tells(t),
	})
	return postfix, relay, sink
}

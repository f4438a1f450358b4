package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Services of the Postfix of testUpstreamTLS. The certificate of all but one is
// for mx.test.example.
const (
	startsTLS = iota
	speaksTLS
	asksUs
	hasExpired
	knowsNone
)

// What mailweir wants to know about an upstream's certificate, and what it shows
// itself, is so before a real Postfix.
func testUpstreamTLS(t *testing.T, binary peer.Mailweir) {
	ca := peer.NewAuthority(t)
	sink := peer.Sink(t)
	cert, ours, old := ca.Server(t, "mx.test.example"), ca.Client(t, "weir.test.example"), ca.Issue(t, peer.Expired("mx.test.example"))
	asked := map[string]string{"smtpd_tls_req_ccert": "yes"}
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, TLS: cert, Services: []map[string]string{
		startsTLS:  nil,
		speaksTLS:  peer.ImplicitTLS(),
		asksUs:     peer.Settings(peer.RequiresTLS(), asked),
		hasExpired: {"smtpd_tls_cert_file": old.CertFile, "smtpd_tls_key_file": old.KeyFile},
		knowsNone:  {"smtpd_tls_security_level": "none"},
	}})
	checked := "ca: " + ca.File + ", server_name: mx.test.example"
	shown := fmt.Sprintf(", certificate: %s, key: %s", ours.CertFile, ours.KeyFile)
	wrong := strings.Repeat("AB:", 31) + "AB"
	cases := []struct {
		name, tls string
		service   int
		received  string // "" if the client hears 421
		log       string
	}{
		{"required", "mode: required, " + checked, startsTLS, "(Client did not present a certificate) by mx.test.example (Postfix) with ESMTPS ", ""},
		{"with ours", "mode: required, " + checked + shown, startsTLS, `(Client CN "weir.test.example", Issuer "Test CA" (verified OK)) `, ""},
		{"ours is wanted", "mode: required, " + checked + shown, asksUs, `(Client CN "weir.test.example", Issuer "Test CA" (verified OK)) `, ""},
		{"ours is missed", "mode: required, " + checked, asksUs, "421 4.7.1 mx.test.example Error: No client certificate presented", ""},
		{"implicit", "mode: implicit, " + checked, speaksTLS, "with ESMTPS ", ""},
		{"implicit, in vain", "mode: implicit, " + checked, startsTLS, "", "it speaks in clear at first"},
		{"by its address", "mode: required, ca: " + ca.File, startsTLS, "", "127.0.0.1"},
		{"unknown authority", "mode: required, server_name: mx.test.example", startsTLS, "", "unknown authority"},
		{"any", "mode: required, verify: false", startsTLS, "with ESMTPS ", ""},
		{"pinned", `mode: required, fingerprints: ["` + cert.Fingerprint() + `"]`, startsTLS, "with ESMTPS ", ""},
		{"pinned to another", `mode: required, fingerprints: ["` + wrong + `"]`, startsTLS, "", cert.Fingerprint()},
		{"expired", "mode: required, " + checked, hasExpired, "", "expired"},
		{"expired, opportunistic", "mode: opportunistic", hasExpired, "with ESMTPS ", ""},
		{"none", "mode: required, " + checked, knowsNone, "", "does not offer STARTTLS"},
		{"none, opportunistic", "mode: opportunistic", knowsNone, "with ESMTP ", ""},
	}
	var listeners []string
	for _, c := range cases {
		listeners = append(listeners, fmt.Sprintf("upstream: {address: %q, tls: {%s}}", postfix.Services[c.service], c.tls))
	}
	relay, doors := served(t, binary, peer.RelayOptions{}, listeners...)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.received == "" {
				peer.Dial(t, doors[i]).Do("421 4.3.2 ", "EHLO client.test.example")
				line := peer.Logged(t, relay, `"msg":"upstream failed".*"upstream":"listener `+listenerName(i)+`".*`)[0]
				if !strings.Contains(line, c.log) {
					t.Errorf("the log does not say %q: %s", c.log, line)
				}
				return
			}
			if strings.HasPrefix(c.received, "421 ") { // Postfix says so when TLS is done
				peer.Dial(t, doors[i]).Do(c.received, "EHLO client.test.example")
				peer.Logged(t, relay, `"msg":"refused".*"listener":"`+listenerName(i)+`".*"filter":"upstream".*`+c.received)
				return
			}
			to := fmt.Sprintf("to%d@test.example", i)
			swaked(t, doors[i], to)
			if m := messageTo(t, sink, to); !strings.Contains(m.Received(), c.received) {
				t.Errorf("Received: %s; want %s", m.Received(), c.received)
			}
		})
	}
}

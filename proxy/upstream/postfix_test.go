package upstream_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// mails says the client's greeting and sends a message, with the identity told
// anew if that is how it works.
func mails(t *testing.T, c *upstream.Conn, client *filters.Session) {
	t.Helper()
	say := func(code int, line string) {
		t.Helper()
		c.Line([]byte(line))
		if err := c.Flush(patient.Other); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Reply(patient.Other); err != nil || r.Code != code {
			t.Fatalf("%.40s: %v, %s", line, err, r.Wire)
		}
	}
	say(250, "EHLO "+client.Helo)
	if err := c.Forward(client, &patient); err != nil {
		t.Fatal(err)
	}
	say(250, "MAIL FROM:<from@test.example>")
	say(250, "RCPT TO:<to@test.example>")
	say(354, "DATA")
	say(250, "Subject: test\r\n\r\ntext\r\n.")
	c.Quit()
}

// Services of a Postfix.
const (
	plainXCLIENT, startXCLIENT, wrapXCLIENT = 0, 1, 2
	plainPROXY, startPROXY                  = 3, 4
	plainXFORWARD, startNone                = 5, 6
)

// newPostfix starts a Postfix with these services.
func newPostfix(t *testing.T, sink *peer.Recorder, good *peer.Certificate) *peer.PostfixInstance {
	t.Helper()
	service := func(settings ...string) map[string]string {
		all := map[string]string{}
		for i := 0; i < len(settings); i += 2 {
			all[settings[i]] = settings[i+1]
		}
		return all
	}
	const us = "127.0.0.0/8"
	encrypts := func(settings ...string) map[string]string {
		return service(append(settings, "smtpd_tls_security_level", "may", "smtpd_tls_cert_file", good.CertFile, "smtpd_tls_key_file", good.KeyFile)...)
	}
	return peer.Postfix(t, peer.PostfixOptions{
		Relayhost: sink.Addr,
		Main:      map[string]string{"inet_protocols": "all", "mynetworks": us + " 192.0.2.0/24 [2001:db8::]/32"},
		Services: []map[string]string{
			plainXCLIENT:  service("smtpd_authorized_xclient_hosts", us),
			startXCLIENT:  encrypts("smtpd_authorized_xclient_hosts", us),
			wrapXCLIENT:   encrypts("smtpd_authorized_xclient_hosts", us, "smtpd_tls_wrappermode", "yes"),
			plainPROXY:    service("smtpd_upstream_proxy_protocol", "haproxy", "smtpd_upstream_proxy_timeout", "1s"),
			startPROXY:    encrypts("smtpd_upstream_proxy_protocol", "haproxy"),
			plainXFORWARD: service("smtpd_authorized_xforward_hosts", us),
			startNone:     encrypts(),
		},
	})
}

// TestPostfix tells a real Postfix who the client is, in all ways that it knows.
func TestPostfix(t *testing.T) {
	ca := peer.NewAuthority(t)
	sink := peer.Sink(t)
	postfix := newPostfix(t, sink, ca.Server(t, "127.0.0.1"))
	t.Run("takes it", func(t *testing.T) { testTakes(t, postfix, sink, ca) })
	t.Run("refuses it", func(t *testing.T) { testRefuses(t, postfix) })
}

func testTakes(t *testing.T, postfix *peer.PostfixInstance, sink *peer.Recorder, ca *peer.Authority) {
	six := theClient()
	six.Client = netip.MustParseAddrPort("[2001:db8::7]:4711")
	tall := theClient()
	tall.ClientName = long
	tall.AuthUser = strings.Repeat("user+1", 31)
	named := theClient()
	named.ClientName = "name.example"
	const from = "from client.example "
	for i, c := range []struct {
		service int
		o       upstream.Options
		client  *filters.Session
		want    string // in the Received field, or in the log
		log     bool
	}{
		{plainXCLIENT, upstream.Options{Identity: upstream.XCLIENT}, theClient(), from + "(unknown [192.0.2.7])", false},
		{plainXCLIENT, upstream.Options{Identity: upstream.XCLIENT}, named, from + "(name.example [192.0.2.7])", false},
		{plainXCLIENT, upstream.Options{Identity: upstream.XCLIENT}, six, from + "(unknown [IPv6:2001:db8::7])", false},
		{plainXCLIENT, upstream.Options{Identity: upstream.XCLIENT}, tall, from + "(" + long + " [192.0.2.7])", false},
		{plainXCLIENT, upstream.Options{Identity: upstream.XCLIENT}, tall, "client=" + long + "[192.0.2.7], sasl_method=XCLIENT, sasl_username=" + tall.AuthUser, true},
		{startXCLIENT, upstream.Options{Identity: upstream.XCLIENT, TLS: upstream.RequireTLS}, theClient(), from + "(unknown [192.0.2.7]) by mx.test.example (Postfix) with ESMTPS", false},
		{startXCLIENT, upstream.Options{Identity: upstream.XCLIENT, TLS: upstream.RequireTLS}, tall, "client=" + long + "[192.0.2.7], sasl_method=XCLIENT, sasl_username=" + tall.AuthUser, true},
		{wrapXCLIENT, upstream.Options{Identity: upstream.XCLIENT, TLS: upstream.ImplicitTLS}, named, from + "(name.example [192.0.2.7]) by mx.test.example (Postfix) with ESMTPS", false},
		{plainPROXY, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 1}, theClient(), from + "(unknown [192.0.2.7])", false},
		{plainPROXY, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 1}, six, from + "(unknown [IPv6:2001:db8::7])", false},
		{plainPROXY, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 2}, theClient(), from + "(unknown [192.0.2.7])", false},
		{startPROXY, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 2, TLS: upstream.RequireTLS}, six, from + "(unknown [IPv6:2001:db8::7]) by mx.test.example (Postfix) with ESMTPS", false},
		{plainXFORWARD, upstream.Options{Identity: upstream.XFORWARD}, named, "client=unknown[127.0.0.1], orig_queue_id=0123456789, orig_client=name.example[192.0.2.7]", true},
		{startNone, upstream.Options{TLS: upstream.Opportunistic}, theClient(), from + "(unknown [127.0.0.1]) by mx.test.example (Postfix) with ESMTPS", false},
	} {
		t.Run(fmt.Sprintf("%d %s", i, c.o.Identity), func(t *testing.T) {
			c.o.TLSConfig = trusting(t, certs.Client{CA: ca.File, Verify: true})
			conn, err := behind(t, postfix.Services[c.service], c.o).open(t, c.client)
			if err != nil {
				t.Fatal(err)
			}
			before := len(sink.Messages())
			mails(t, conn, c.client)
			all := sink.Wait(t, before+1, 20*time.Second)
			got := strings.Join(strings.Fields(string(all[len(all)-1].Data)), " ")
			if c.log {
				got = postfix.Log()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%q is not in: %s", c.want, got)
			}
		})
	}
}

func testRefuses(t *testing.T, postfix *peer.PostfixInstance) {
	for i, c := range []struct {
		service int
		o       upstream.Options
		words   string
	}{
		{plainPROXY, upstream.Options{Identity: upstream.XCLIENT}, "greeting 421"}, // it waits for the header in vain
		{plainXFORWARD, upstream.Options{Identity: upstream.XCLIENT}, "does not offer XCLIENT"},
		{plainXCLIENT, upstream.Options{Identity: upstream.XFORWARD}, "does not offer XFORWARD"},
		{plainXCLIENT, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 1}, "set smtpd_upstream_proxy_protocol = haproxy"},
		{plainXCLIENT, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 2}, "set smtpd_upstream_proxy_protocol = haproxy"},
		{plainXCLIENT, upstream.Options{TLS: upstream.RequireTLS}, "it does not offer STARTTLS"},
		{startXCLIENT, upstream.Options{TLS: upstream.ImplicitTLS}, "it speaks in clear at first"},
	} {
		c.o.TLSConfig = anyone
		err := behind(t, postfix.Services[c.service], c.o).fails(t, theClient(), c.words)
		told := c.service != plainPROXY && c.o.Identity != upstream.NoIdentity
		if errors.As(err, new(*upstream.IdentityError)) != told {
			t.Errorf("%d: %v", i, err)
		}
	}
}

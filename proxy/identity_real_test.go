package proxy_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// spike is the name of those of the test's clients that have one.
const spike = "spike.test.example"

// named starts a name server that knows those addresses as spike, and spike as
// those addresses. where may be nil.
func named(t *testing.T, where *peer.Netns, addresses ...string) string {
	t.Helper()
	reverse := map[string]bool{}
	var forward []dns.RR
	for _, a := range addresses {
		name, err := dns.ReverseAddr(a)
		if err != nil {
			t.Fatal(err)
		}
		reverse[name] = true
		header := dns.RR_Header{Name: spike + ".", Class: dns.ClassINET, Ttl: 60, Rrtype: dns.TypeA}
		if netip.MustParseAddr(a).Is4() {
			forward = append(forward, &dns.A{Hdr: header, A: net.ParseIP(a)})
		} else {
			header.Rrtype = dns.TypeAAAA
			forward = append(forward, &dns.AAAA{Hdr: header, AAAA: net.ParseIP(a)})
		}
	}
	return where.Names(t, func(_ context.Context, _ string, question *dns.Msg) *dns.Msg {
		q := question.Question[0]
		name := strings.ToLower(q.Name)
		switch {
		case name == spike+".":
			var found []dns.RR
			for _, rr := range forward {
				if rr.Header().Rrtype == q.Qtype {
					found = append(found, rr)
				}
			}
			return peer.Reply(question, dns.RcodeSuccess, found...)
		case reverse[name] && q.Qtype == dns.TypePTR:
			return peer.Reply(question, dns.RcodeSuccess, &dns.PTR{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 60}, Ptr: spike + ".",
			})
		}
		return peer.Reply(question, dns.RcodeNameError)
	}).Addr
}

// Services of the Postfix of testIdentities.
const (
	takesXCLIENT = iota
	wantsTLS
	takesPROXY
	takesXFORWARD
)

func identityPostfix(t *testing.T, sink *peer.Recorder, cert *peer.Certificate) *peer.PostfixInstance {
	t.Helper()
	return peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, TLS: cert, Services: []map[string]string{
		takesXCLIENT:  peer.TakesXCLIENT(),
		wantsTLS:      peer.Settings(peer.TakesXCLIENT(), peer.RequiresTLS()),
		takesPROXY:    peer.TakesPROXY(),
		takesXFORWARD: peer.TakesXFORWARD(),
	}})
}

// An identity is a way to tell Postfix of a client.
type identity struct {
	name          string
	service       int
	keys          string // of the upstream
	args          []string
	client, known string   // by address and name
	words         []string // in the Received field
	login         string
}

// identities are all of them; tls are the keys of an upstream that must encrypt.
func identities(tls string) []identity {
	told := []string{"--xclient-name", spike, "--xclient-login", "joe+x@test.example", "--xclient-helo", "liar.example", "--xclient-addr"}
	return []identity{
		{"XCLIENT", takesXCLIENT, "identity: xclient", []string{"--local-interface", "127.0.0.21"}, "127.0.0.21", spike, []string{"from client.test.example ", "with ESMTP "}, ""},
		{"XCLIENT, no name", takesXCLIENT, "identity: xclient", []string{"--local-interface", "127.0.0.22"}, "127.0.0.22", "unknown", []string{"from client.test.example "}, ""},
		{"XCLIENT, no look", takesXCLIENT, "identity: xclient, client_name: false", []string{"--local-interface", "127.0.0.21"}, "127.0.0.21", "unknown", nil, ""},
		{"XCLIENT, HELO", takesXCLIENT, "identity: xclient", []string{"--protocol", "SMTP", "--local-interface", "127.0.0.21"}, "127.0.0.21", spike, []string{"from client.test.example ", "with SMTP "}, ""},
		{"XCLIENT and TLS", wantsTLS, "identity: xclient, " + tls, []string{"--local-interface", "127.0.0.21"}, "127.0.0.21", spike, []string{"using TLSv1.3 ", "with ESMTPS "}, ""},
		{"XCLIENT of XCLIENT, IPv6", takesXCLIENT, "identity: xclient", append(told, "IPV6:2001:db8::7"), "2001:db8::7", spike, []string{"with ESMTPA "}, "joe+x@test.example"},
		{"XCLIENT of XCLIENT and TLS", wantsTLS, "identity: xclient, " + tls, append(told, "192.0.2.7"), "192.0.2.7", spike, []string{"with ESMTPSA "}, "joe+x@test.example"},
		{"PROXY 1", takesPROXY, "identity: proxy, proxy_version: 1", []string{"--local-interface", "127.0.0.23"}, "127.0.0.23", "unknown", nil, ""},
		{"PROXY 2", takesPROXY, "identity: proxy", []string{"--local-interface", "127.0.0.24"}, "127.0.0.24", "unknown", nil, ""},
		{"PROXY 1 of XCLIENT, IPv6", takesPROXY, "identity: proxy, proxy_version: 1", []string{"--xclient-addr", "IPV6:2001:db8::8"}, "2001:db8::8", "unknown", nil, ""},
		{"PROXY 2 of XCLIENT, IPv6", takesPROXY, "identity: proxy, " + tls, []string{"--xclient-addr", "IPV6:2001:db8::9"}, "2001:db8::9", "unknown", []string{"with ESMTPS "}, ""},
	}
}

// Postfix logs, and writes into the Received field, the client of mailweir: its
// address, its name, its log-in.
func testIdentities(t *testing.T, binary peer.Mailweir) {
	ca := peer.NewAuthority(t)
	sink := peer.Sink(t)
	postfix := identityPostfix(t, sink, ca.Server(t, "mx.test.example"))
	cases := identities(fmt.Sprintf("tls: {mode: required, ca: %s, server_name: mx.test.example}", ca.File))
	var listeners []string
	for _, c := range cases {
		listeners = append(listeners, fmt.Sprintf("upstream: {address: %q, %s}, xclient_from: [127.0.0.0/8]", postfix.Services[c.service], c.keys))
	}
	relay, doors := served(t, binary, peer.RelayOptions{Names: named(t, nil, "127.0.0.21")}, listeners...)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			to := fmt.Sprintf("to%d@test.example", i)
			swaked(t, doors[i], to, c.args...)
			m := messageTo(t, sink, to)
			sees(t, postfix, m, c.known, c.client)
			for _, words := range c.words {
				if !strings.Contains(m.Received(), words) {
					t.Errorf("Received: %s; want %s", m.Received(), words)
				}
			}
			if c.login != "" {
				peer.Logged(t, postfix, regexp.QuoteMeta(c.known+"["+c.client+"], sasl_method=XCLIENT, sasl_username="+c.login)+"$")
			}
			client, _ := accepted(t, relay, to)["client"].(string)
			if got := netip.MustParseAddrPort(client).Addr().String(); got != c.client {
				t.Errorf("mailweir's log says client %s, want %s", client, c.client)
			}
		})
	}
	inPeace(t, relay.Log())
}

// Postfix that does not take what it would be told gets no mail, and the log says
// what to set where.
func testUntaken(t *testing.T, binary peer.Mailweir) {
	postfix := peer.Postfix(t, peer.PostfixOptions{Services: []map[string]string{peer.TakesPROXY()}})
	plain, proxy := postfix.Addr, postfix.Services[0]
	cases := []struct{ name, addr, identity, level, hint string }{
		{"XCLIENT", plain, "xclient", "ERROR", "smtpd_authorized_xclient_hosts = 127.0.0.1"},
		{"XFORWARD", plain, "xforward", "ERROR", "smtpd_authorized_xforward_hosts = 127.0.0.1"},
		{"PROXY 1", plain, "proxy, proxy_version: 1", "ERROR", "smtpd_upstream_proxy_protocol = haproxy"},
		{"PROXY 2", plain, "proxy", "ERROR", "smtpd_upstream_proxy_protocol = haproxy"},
		{"no header", proxy, "none", "WARN", "421 4.3.0 mx.test.example Server local error"},
	}
	var listeners []string
	for _, c := range cases {
		listeners = append(listeners, fmt.Sprintf("upstream: {address: %q, identity: %s}", c.addr, c.identity))
	}
	relay, doors := served(t, binary, peer.RelayOptions{}, listeners...)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client := peer.Dial(t, doors[i])
			reply := client.Do("421 4.3.2 ", "EHLO client.test.example")
			id := quotedID.FindStringSubmatch(reply)
			if id == nil {
				t.Fatalf("no id in the reply %q", reply)
			}
			if more, err := client.Reply(); err == nil {
				t.Errorf("the session goes on: %q", more)
			}
			line := peer.Logged(t, relay, `.*"msg":"upstream failed","id":"`+id[1]+`".*`)[0]
			if !strings.Contains(line, `"level":"`+c.level+`"`) || !strings.Contains(line, c.hint) {
				t.Errorf("the log does not say %q: %s", c.hint, line)
			}
		})
	}
	if strings.Contains(postfix.Log(), "client=") {
		t.Error("Postfix has taken mail")
	}
}

// Postfix logs the client of each transaction, whoever had the connection before.
func testXForward(t *testing.T, binary peer.Mailweir) {
	sink := peer.Sink(t)
	postfix := identityPostfix(t, sink, nil)
	listener := func(keys string) string {
		return fmt.Sprintf("upstream: {address: %q, identity: xforward, %s}", postfix.Services[takesXFORWARD], keys)
	}
	relay, doors := served(t, binary, peer.RelayOptions{Names: named(t, nil, "127.0.0.26")}, listener(""), listener("reuse: true"))
	peer.Logged(t, postfix, ": disconnect from ") // the rig has looked whether Postfix listens
	before := strings.Count(postfix.Log(), ": connect from ")
	say := func(addr, client, prefix string) {
		c := peer.DialFrom(t, client, addr)
		c.Expect("220")
		c.Hello()
		for i := range 3 {
			deliver(c, fmt.Sprintf("%s%d@test.example", prefix, i))
			c.Do("250", "MAIL FROM:<reset@test.example>")
			c.Do("250", "RSET")
		}
		c.Quit()
	}
	say(doors[0], "127.0.0.26", "a")
	for i, client := range []string{"127.0.0.27", "127.0.0.26", "127.0.0.28"} {
		say(doors[1], client, fmt.Sprintf("b%d", i))
	}
	sink.Wait(t, 12, time.Minute)
	for client, want := range map[string]int{spike + "[127.0.0.26]": 6, "unknown[127.0.0.27]": 3, "unknown[127.0.0.28]": 3} {
		line := regexp.MustCompile(`client=unknown\[127\.0\.0\.1\], orig_queue_id=\S+, orig_client=` + regexp.QuoteMeta(client) + `(?m:$)`)
		if n := len(line.FindAllString(postfix.Log(), -1)); n != want {
			t.Errorf("Postfix logs %d messages of %s, want %d", n, client, want)
		}
	}
	if n := strings.Count(postfix.Log(), ": connect from ") - before; n != 2 {
		t.Errorf("Postfix logs %d connections, want 2", n)
	}
	inPeace(t, relay.Log())
}

package proxy_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A hop is a way from a client by haproxy to a listener of mailweir.
type hop struct {
	name, header  string
	door          int
	tls           bool // ends at haproxy
	shown         bool // the client has a certificate
	args          []string
	client, known string
	words         string // what rules know besides
}

var hops = []hop{
	{"1 to XCLIENT", "send-proxy", 0, false, false, nil, "127.0.0.41", spike, "   false"},
	{"2 to XCLIENT", "send-proxy-v2", 0, false, false, nil, "127.0.0.42", "unknown", "   false"},
	{"1 to 1", "send-proxy", 1, false, false, nil, "127.0.0.43", "unknown", "   false"},
	{"2 to 2", "send-proxy-v2", 2, false, false, nil, "127.0.0.44", "unknown", "   false"},
	{"2 to 1", "send-proxy-v2", 1, false, false, nil, "127.0.0.45", "unknown", "   false"},
	{"TLS ends there", "send-proxy-v2-ssl-cn", 3, true, false, []string{"--tlsc"}, "127.0.0.46", "unknown", "TLSv1.3   false"},
	{"TLS with a certificate", "send-proxy-v2-ssl-cn", 2, true, true, []string{"--tlsc"}, "127.0.0.47", "unknown", "TLSv1.3  joe.test.example true"},
	{"STARTTLS behind", "send-proxy-v2", 3, false, false, []string{"--tls"}, "127.0.0.48", "unknown", "TLSv1.3   false"},
	{"TLS behind", "send-proxy", 4, false, false, []string{"--tlsc"}, "127.0.0.49", "unknown", "TLSv1.3   false"},
}

// Behind haproxy, and before Postfix, the client is the client: in all three logs,
// for rules, and in the Received field.
func testHAProxy(t *testing.T, binary peer.Mailweir) {
	ca := peer.NewAuthority(t)
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, Services: []map[string]string{
		peer.TakesXCLIENT(), peer.TakesPROXY(),
	}})
	listener := func(service int, identity string) string {
		return fmt.Sprintf("upstream: {address: %q, identity: %s}, proxy_protocol_from: [127.0.0.0/8]", postfix.Services[service], identity)
	}
	ours := ca.Server(t, "relay.test.example")
	tls := fmt.Sprintf(", tls: {certificates: [{certificate: %s, key: %s}], ", ours.CertFile, ours.KeyFile)
	relay, doors := served(t, binary, peer.RelayOptions{Chain: tells(t), Names: named(t, nil, "127.0.0.41")},
		listener(0, "xclient"), listener(1, "proxy, proxy_version: 1"), listener(1, "proxy"),
		listener(0, "xclient")+tls+"require: true}",
		listener(1, "proxy")+tls+"implicit: true}",
	)
	for i, test := range hops {
		t.Run(test.name, func(t *testing.T) {
			front, args, ssl := test.front(t, ca, doors[test.door])
			to := fmt.Sprintf("to%d@test.example", i)
			swaked(t, front.Addr, to, args...)
			m := messageTo(t, sink, to)
			sees(t, postfix, m, test.known, test.client)
			// swaks may close before haproxy hears that mailweir has: CD.
			peer.Logged(t, front, `^client=`+regexp.QuoteMeta(test.client)+`:\d+ ended=(--|CD) ssl=`+ssl+`$`)
			if got, want := knows(m), test.client+" 127.0.0.1 "+test.words; !strings.HasPrefix(got, want) {
				t.Errorf("rules know %q, want %q", got, want)
			}
			record := accepted(t, relay, to)
			client, via := record["client"].(string), record["via"].(string)
			if !strings.HasPrefix(client, test.client+":") || !strings.HasPrefix(via, "127.0.0.1:") {
				t.Errorf("the log says client=%s via=%s, want %s", client, via, test.client)
			}
		})
	}
	inPeace(t, relay.Log())
	for i, header := range []string{"send-proxy", "send-proxy-v2"} {
		t.Run("checks by "+header, func(t *testing.T) { testChecks(t, doors[:3], postfix, i, header) })
	}
	inPeace(t, relay.Log())
}

// front starts the haproxy of a hop. It returns the arguments of its client, and the
// pattern of the version of TLS that it logs.
func (h hop) front(t *testing.T, ca *peer.Authority, door string) (front *peer.HAProxyInstance, args []string, ssl string) {
	t.Helper()
	o := peer.HAProxyOptions{Backend: door, Header: h.header}
	args, ssl = append([]string{"--local-interface", h.client}, h.args...), "-"
	if h.tls {
		o.TLS, o.ClientCA, ssl = ca.Server(t, "lb.test.example"), ca.File, `TLSv1\.3`
	}
	if h.shown {
		joe := ca.Client(t, "joe.test.example")
		args = append(args, "--tls-cert", joe.CertFile, "--tls-key", joe.KeyFile)
	}
	return peer.HAProxy(t, o), args, ssl
}

// testChecks lets haproxy ask whether mailweir is well.
func testChecks(t *testing.T, doors []string, postfix *peer.PostfixInstance, nth int, header string) {
	for _, door := range doors {
		before := strings.Count(postfix.Log(), "disconnect from unknown[127.0.0.1] ehlo=2 ")
		front := peer.HAProxy(t, peer.HAProxyOptions{Backend: door, Header: header, Check: true})
		peer.Logged(t, front, `smtp/upstream succeeded, reason: Layer7 check passed, code: 2`)
		eventually(t, time.Minute, "checks in the log of Postfix", func() bool {
			return strings.Count(postfix.Log(), "disconnect from unknown[127.0.0.1] ehlo=2 ") >= before+3
		})
		if strings.Contains(front.Log(), "failed") {
			t.Errorf("haproxy finds mailweir ill:\n%s", front.Log())
		}
		swaked(t, front.Addr, fmt.Sprintf("checked%d@test.example", nth), "--local-interface", "127.0.0.50")
	}
}

package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
)

// told has a relay take XCLIENT from this machine.
func told(o *relay.Options) { o.XClientFrom = listed("127.0.0.0/8", "198.51.100.0/24") }

// newToldRig starts a relay that takes XCLIENT, before an upstream that can log
// clients in.
func newToldRig(t *testing.T, change func(*relay.Options)) (*rig, *seer, *keptLog, *answering) {
	up := newAnswering(t, logins())
	var saw *seer
	var log *keptLog
	r := newRig(t, func(o *relay.Options) {
		told(o)
		o.Upstream = behind(newFleet(), up.addr, 10)
		log = keeps(o)
		saw = sees(t, o)
		if change != nil {
			change(o)
		}
	})
	return r, saw, log, up
}

// telling is what XCLIENT says of a client, and what the chain then knows.
type telling struct {
	lines           []string
	client, local   string // without the port, "" as it was
	port, localPort uint16 // 0 as it was
	name, login     string
}

// Each attribute is told to the chain, at Connect, which is asked anew.
func TestXClientAttributes(t *testing.T) {
	for _, test := range []telling{
		{lines: []string{"ADDR=192.0.2.7"}, client: "192.0.2.7"},
		{lines: []string{"ADDR=192.0.2.7 PORT=4711"}, client: "192.0.2.7", port: 4711},
		{lines: []string{"addr=192.0.2.7 port=4711"}, client: "192.0.2.7", port: 4711},
		{lines: []string{"PORT=4711 ADDR=192.0.2.7"}, client: "192.0.2.7", port: 4711},
		{lines: []string{"ADDR=192.0.2.7 PORT=[UNAVAILABLE]"}, client: "192.0.2.7"},
		{lines: []string{"ADDR=IPV6:2001:db8::7"}, client: "2001:db8::7"},
		{lines: []string{"ADDR=IPV6:::ffff:192.0.2.7"}, client: "192.0.2.7"},
		{lines: []string{"ADDR=192.0.2.7 NAME=c.example"}, client: "192.0.2.7", name: "c.example"},
		{lines: []string{"ADDR=192.0.2.7 NAME=[UNAVAILABLE] REVERSE_NAME=x.example"}, client: "192.0.2.7"},
		{lines: []string{"ADDR=192.0.2.7 NAME=[TEMPUNAVAIL]"}, client: "192.0.2.7"},
		{lines: []string{"ADDR=192.0.2.7 LOGIN=joe HELO=x PROTO=SMTP"}, client: "192.0.2.7", login: "joe"},
		{lines: []string{"ADDR=192.0.2.7 LOGIN=joe+40x.example"}, client: "192.0.2.7", login: "joe@x.example"},
		{lines: []string{"ADDR=192.0.2.7 LOGIN=[UNAVAILABLE] HELO=[UNAVAILABLE]"}, client: "192.0.2.7"},
		{lines: []string{"ADDR=192.0.2.7 DESTADDR=192.0.2.25 DESTPORT=2525"}, client: "192.0.2.7", local: "192.0.2.25", localPort: 2525},
		{lines: []string{"NAME=c.example LOGIN=joe"}, name: "c.example", login: "joe"},
		// Told in several commands, the address in the last.
		{lines: []string{"NAME=c.example PORT=4711 DESTPORT=2525", "ADDR=192.0.2.7 LOGIN=joe"}, client: "192.0.2.7", port: 4711, localPort: 2525, name: "c.example", login: "joe"},
		{lines: []string{"LOGIN=joe", "ADDR=192.0.2.7"}, client: "192.0.2.7"},
		// Of the one client nothing is left for the next.
		{lines: []string{"ADDR=198.51.100.7 PORT=4711 NAME=c.example LOGIN=joe", "ADDR=192.0.2.7"}, client: "192.0.2.7"},
		{lines: []string{"ADDR=198.51.100.7 PORT=4711 NAME=c.example", "LOGIN=joe", "ADDR=192.0.2.7"}, client: "192.0.2.7"},
		{lines: []string{"NAME=c.example", "PORT=4711", "ADDR=192.0.2.7"}, client: "192.0.2.7", port: 4711, name: "c.example"},
		{lines: []string{"ADDR=198.51.100.7 NAME=c.example", "LOGIN=joe"}, client: "198.51.100.7", name: "c.example", login: "joe"},
	} {
		test.check(t)
	}
}

func (test telling) check(t *testing.T) {
	t.Helper()
	r, saw, _, _ := newToldRig(t, nil)
	c := r.dial()
	c.say("", "220")
	was := saw.last(t, filters.Connect)
	for _, l := range test.lines {
		c.say("XCLIENT "+l+"\r\n", "220")
	}
	got := saw.last(t, filters.Connect)
	if n := saw.times(filters.Connect); n != 1+len(test.lines) {
		t.Errorf("%q: the chain was asked at Connect %d times", test.lines, n)
	}
	if test.client == "" {
		test.client, test.port = was.Client.Addr().String(), was.Client.Port()
	} else if !got.Via.IsValid() {
		t.Errorf("%q: it is not told who told", test.lines)
	}
	if test.local == "" {
		test.local = was.Local.Addr().String()
	}
	if test.localPort == 0 {
		test.localPort = was.Local.Port()
	}
	if got.Client.Addr().String() != test.client || got.Client.Port() != test.port || got.Local.Addr().String() != test.local ||
		got.Local.Port() != test.localPort || got.ClientName != test.name || got.AuthUser != test.login {
		t.Errorf("%q: the chain knows of %+v", test.lines, got)
	}
	c.say("EHLO c\r\nMAIL FROM:<a@x.example>\r\n", "250", "250")
	mechanism := ""
	if test.login != "" {
		mechanism = "XCLIENT"
	}
	if got := saw.last(t, filters.Mail); got.AuthUser != test.login || got.AuthType != mechanism || got.Helo != "c" {
		t.Errorf("%q: at MAIL the chain knows of %+v", test.lines, got)
	}
}

func TestBadXClient(t *testing.T) {
	r, saw, _, _ := newToldRig(t, nil)
	c := r.dial()
	c.say("", "220")
	for _, args := range []string{"", " ", " ADDR", " ADDR=", " ADDR=x", " ADDR=[UNAVAILABLE]", " ADDR=[TEMPUNAVAIL]", " ADDR=2001:db8::1",
		" ADDR=IPV6:192.0.2.1", " ADDR=192.0.2.1%eth0", " ADDR=192.0.2.1 ADDR=192.0.2.2", " FOO=bar", " ADDR=192.0.2.1 FOO=bar", " PORT=99999",
		" PORT=-1", " PROTO=LMTP", " NAME=a+0D+0Ab", " LOGIN=a+00", " LOGIN=a b", " NAME=" + strings.Repeat("x", 300), " ADDR=192.0.2.1  PORT=1",
		" NAME=192.0.2.1", " ADDR=IPV6:fe80::1%25eth0"} {
		c.say("XCLIENT"+args+"\r\n", "501 5.5.4")
	}
	c.say("EHLO c\r\n"+envelope+"XCLIENT ADDR=192.0.2.1\r\nRSET\r\n", "250", "250", "250", "503", "250")
	if n := saw.times(filters.Connect); n != 1 {
		t.Errorf("the chain was asked %d times", n)
	}
}

// Only who is listed may, and is offered it: by the address in force.
func TestXClientOfOthers(t *testing.T) {
	r, saw, _, _ := newToldRig(t, func(o *relay.Options) { proxied(o); o.XClientFrom = listed("198.51.100.0/24") })
	c := r.dial()
	c.say(header(t, 1, "192.0.2.7:4711"), "220")
	if got := c.offers("EHLO c"); strings.Contains(got, "XCLIENT") {
		t.Errorf("it is offered %q", got)
	}
	c.say("XCLIENT ADDR=192.0.2.8\r\n", "550 5.7.0")
	c = r.dial()
	c.say(header(t, 1, "198.51.100.7:4711"), "220")
	if got := c.offers("EHLO c"); strings.Count(got, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME") != 1 {
		t.Errorf("it is offered %q", got)
	}
	if got := c.offers("HELO c"); strings.Contains(got, "XCLIENT") {
		t.Errorf("to HELO it says %q", got)
	}
	c.say("XCLIENT ADDR=192.0.2.7\r\n", "220")
	if got := saw.last(t, filters.Connect); got.Via.String() != "198.51.100.7:4711" {
		t.Errorf("it is told by %s", got.Via)
	}
	c.say("XCLIENT ADDR=198.51.100.7\r\nEHLO c\r\nXCLIENT ADDR=198.51.100.7\r\nQUIT\r\n", "550 5.7.0", "250", "550 5.7.0", "221")

	c = newRig(t, nil).dial()
	c.say("XCLIENT ADDR=192.0.2.8\r\nQUIT\r\n", "220", "502", "221")
}

// All begins anew: the greeting, who has logged in, what the upstream knows.
func TestXClientRestarts(t *testing.T) {
	r, saw, log, up := newToldRig(t, nil)
	c := r.greeted()
	c.say("AUTH PLAIN "+b64("\x00joe\x00secret")+"\r\n", "235")
	c.say("MAIL FROM:<a@x.example>\r\nRSET\r\n", "250", "250")
	first := saw.last(t, filters.Mail)
	c.say("XCLIENT ADDR=192.0.2.7 NAME=c.example\r\n", "220")
	c.say("MAIL FROM:<a@x.example>\r\n", "503")
	c.say("EHLO d\r\nMAIL FROM:<a@x.example>\r\nRSET\r\n", "250", "250", "250")
	second := saw.last(t, filters.Mail)
	if second.AuthUser != "" || second.Helo != "d" {
		t.Errorf("the chain knows of %+v", second)
	}
	if first.ID == second.ID {
		t.Errorf("both sessions and their transactions are called %s", first.ID)
	}
	log.line(t, "told by XCLIENT", "id="+first.ID, "session="+second.ID, "is=192.0.2.7:0")
	log.line(t, "msg=aborted", "id="+second.ID+".1", "client=192.0.2.7:0")
	if heard := up.heard(); !strings.Contains(heard, "1 QUIT\n2 EHLO d\n2 MAIL") {
		t.Errorf("the upstream has heard\n%s", heard)
	}
	c.say("BLAH\r\nPROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", "500", "421")
	log.line(t, "reason=proxy_header", "client=192.0.2.7:0", "via=127.0.0.1:")
}

// What comes behind XCLIENT is the told client's.
func TestPipelinedBehindXClient(t *testing.T) {
	r, saw, _, _ := newToldRig(t, nil)
	c := r.dial()
	c.say("EHLO p\r\nXCLIENT ADDR=192.0.2.7\r\nEHLO c\r\nMAIL FROM:<a@x.example>\r\nXCLIENT ADDR=192.0.2.8\r\nQUIT\r\n",
		"220", "250", "220", "250", "250", "550", "221")
	c.wantEnd()
	if got := saw.last(t, filters.Mail); got.Client.Addr().String() != "192.0.2.7" || got.Helo != "c" {
		t.Errorf("the chain knows of %+v", got)
	}
}

// TLS stays, as it is the connection's.
func TestXClientKeepsTLS(t *testing.T) {
	var saw *seer
	r, trust := newTLSRig(t, func(o *relay.Options) { told(o); saw = sees(t, o); o.TLS.Require = true })
	c := r.greeted()
	c.say("XCLIENT ADDR=192.0.2.7\r\n", "530")
	c = c.startTLS(trust)
	c.say("EHLO c\r\nXCLIENT ADDR=192.0.2.7 LOGIN=joe\r\n", "250", "220")
	if got := c.offers("EHLO c"); strings.Contains(got, "STARTTLS") {
		t.Errorf("it offers %q", got)
	}
	c.say(envelope+"STARTTLS\r\n", "250", "250", "503")
	if got := saw.last(t, filters.Mail); got.TLS.Version == "" || got.AuthUser != "joe" || got.Client.Addr().String() != "192.0.2.7" {
		t.Errorf("the chain knows of %+v", got)
	}
}

// A login told in clear does not outlast STARTTLS; the address does.
func TestSTARTTLSBehindXClient(t *testing.T) {
	var saw *seer
	r, trust := newTLSRig(t, func(o *relay.Options) { told(o); saw = sees(t, o) })
	c := r.dial()
	c.say("XCLIENT ADDR=192.0.2.7 NAME=c.example LOGIN=joe\r\nEHLO c\r\n", "220", "220", "250")
	c = c.startTLS(trust)
	c.say("EHLO c\r\n"+envelope, "250", "250", "250")
	if got := saw.last(t, filters.Mail); got.AuthUser != "" || got.Client.Addr().String() != "192.0.2.7" || got.ClientName != "c.example" {
		t.Errorf("the chain knows of %+v", got)
	}
}

// A told client counts as itself: for its sessions, and for its log-ins.
func TestXClientCounts(t *testing.T) {
	r, _, log, _ := newToldRig(t, func(o *relay.Options) {
		o.Limiter = relay.NewLimiter(0, 2)
		o.Failures, o.MaxFailures, o.FailWindow = relay.NewFailures(9, time.Now), 1, time.Hour
	})
	for range 2 {
		c := r.dial()
		c.say("XCLIENT ADDR=192.0.2.7\r\nEHLO c\r\n", "220", "220", "250")
	}
	c := r.dial()
	c.say("EHLO c\r\nXCLIENT ADDR=192.0.2.7\r\nNOOP\r\n", "220", "250", "421")
	c.wantEnd()
	log.line(t, "reason=too_many_sessions_of_client", "client=192.0.2.7:0", "via=127.0.0.1:", "stage=connect")
	c = r.dial()
	c.say("XCLIENT ADDR=192.0.2.8\r\nEHLO c\r\n"+wrong+wrong, "220", "220", "250", "535", "421")
	c = r.dial()
	c.say("XCLIENT ADDR=192.0.2.9\r\nEHLO c\r\n"+wrong, "220", "220", "250", "535")
}

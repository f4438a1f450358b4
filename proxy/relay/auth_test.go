package relay_test

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// logins answers AUTH as an upstream does, whose only password is "secret".
func logins() func(string) string {
	challenges := map[string][]string{
		"AUTH LOGIN": {"334 VXNlcm5hbWU6"}, b64("joe"): {"334 UGFzc3dvcmQ6"},
		"AUTH CRAM-MD5": {"334 " + b64("<1@up.example>")}, "AUTH PLAIN": {"334 "}, "AUTH XOAUTH2": {"334 "}, "AUTH SCRAM-SHA-256": {"334 "},
		b64("n,,n=joe,r=abc"): {"334 " + b64("r=abcdef,s=QQ==,i=4096")}, b64("c=biws,r=abcdef,p=secret"): {"334 " + b64("v=secret")},
		"": {"235 2.7.0 Welcome"}, b64("secret"): {"235 2.7.0 Welcome"},
		"AUTH PLAIN " + b64("\x00joe\x00secret"): {"235 2.7.0 Welcome"}, b64("\x00joe\x00secret"): {"235 2.7.0 Welcome"},
		b64("joe 0123456789abcdef0123456789abcdef"):   {"235 2.7.0 Welcome"},
		b64("user=joe\x01auth=Bearer secret\x01\x01"): {"235 2.7.0 Welcome"},
		"AUTH SCRAM-SHA-256 " + b64("n,,n=joe,r=abc"): {"334 " + b64("r=abcdef,s=QQ==,i=4096")},
		b64("wrong"): {"535 5.7.8 Wrong"}, "*": {"501 5.7.0 Cancelled"},
	}
	return func(line string) string {
		if reply, ok := challenges[line]; ok {
			return reply[0]
		}
		if strings.HasPrefix(line, "AUTH ") {
			return "535 5.7.8 Wrong"
		}
		return ""
	}
}

// Filters learn who has logged in, once the upstream has agreed, and the log
// learns no secret.
func TestAuthFacts(t *testing.T) {
	up := newAnswering(t, logins())
	for _, test := range []struct {
		say  []exchange
		want string
	}{
		{[]exchange{{"AUTH PLAIN " + b64("\x00joe\x00secret"), []string{"235"}}}, "PLAIN joe"},
		{[]exchange{{"AUTH PLAIN", []string{"334"}}, {b64("\x00joe\x00secret"), []string{"235"}}}, "PLAIN joe"},
		{[]exchange{{"AUTH LOGIN", []string{"334"}}, {b64("joe"), []string{"334"}}, {b64("secret"), []string{"235"}}}, "LOGIN joe"},
		{[]exchange{{"AUTH LOGIN", []string{"334"}}, {b64("joe"), []string{"334"}}, {b64("wrong"), []string{"535"}}}, " "},
		{[]exchange{{"AUTH LOGIN", []string{"334"}}, {b64("joe"), []string{"334"}}, {"*", []string{"501"}}}, " "},
		{[]exchange{{"AUTH CRAM-MD5", []string{"334"}}, {b64("joe 0123456789abcdef0123456789abcdef"), []string{"235"}}}, "CRAM-MD5 joe"},
		{[]exchange{{"AUTH XOAUTH2", []string{"334"}}, {b64("user=joe\x01auth=Bearer secret\x01\x01"), []string{"235"}}}, "XOAUTH2 joe"},
		{[]exchange{{"AUTH SCRAM-SHA-256 " + b64("n,,n=joe,r=abc"), []string{"334"}}, {b64("c=biws,r=abcdef,p=secret"), []string{"334"}}, {"", []string{"235"}}}, "SCRAM-SHA-256 joe"},
		{[]exchange{{"AUTH PLAIN " + b64("\x00joe\x00wrong"), []string{"535"}}, {"AUTH PLAIN " + b64("\x00joe\x00secret"), []string{"235"}}, {"AUTH PLAIN x", []string{"503"}}}, "PLAIN joe"},
	} {
		var saw *seer
		var log *keptLog
		r, trust := newTLSRig(t, func(o *relay.Options) {
			o.Upstream = behind(newFleet(), up.addr, 1)
			o.PlainAuth = false
			log = keeps(o)
			saw = sees(t, o)
		})
		c := r.greeted().startTLS(trust)
		c.say("EHLO c\r\n", "250")
		for _, e := range test.say {
			c.say(e.say+"\r\n", e.codes...)
		}
		c.say("MAIL FROM:<a@x.example>\r\n", "250")
		if s := saw.last(t, filters.Mail); s.AuthType+" "+s.AuthUser != test.want {
			t.Errorf("%v: at MAIL the chain knows of %s %s, want %s", test.say, s.AuthType, s.AuthUser, test.want)
		}
		c.say("QUIT\r\n", "221")
		c.wantEnd()
		log.lacks(t, "secret", b64("secret"), b64("\x00joe\x00secret"), b64("\x00joe\x00wrong"))
	}
}

// Passwords are not asked for where others can read them.
func TestAuthNeedsTLS(t *testing.T) {
	up := newAnswering(t, logins())
	fleet := newFleet()
	other := behind(fleet, newAnswering(t, func(string) string { return "" }).addr, 1)
	other.Learn([]byte("250-up.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n"))
	for _, routes := range [][]relay.Route{nil, {{Domains: []string{"y.example"}, Upstream: other}}} {
		r, trust := newTLSRig(t, func(o *relay.Options) {
			o.Upstream, o.Routes = behind(fleet, up.addr, 1), routes
			o.PlainAuth = false
		})
		c := r.dial()
		c.say("", "220")
		c.say("AUTH PLAIN\r\n", "503")
		if got := c.offers("EHLO c"); strings.Contains(got, "AUTH") || !strings.Contains(got, "PIPELINING") {
			t.Errorf("in clear, with %d routes, it offers %q", len(routes), got)
		}
		c.say("AUTH PLAIN "+b64("\x00joe\x00secret")+"\r\nMAIL FROM:<a@x.example> AUTH=<>\r\n", "538 5.7.11", "555")
		c = c.startTLS(trust)
		if got := c.offers("EHLO c"); !strings.Contains(got, "AUTH") {
			t.Errorf("in TLS, with %d routes, it offers %q", len(routes), got)
		}
		c.say("AUTH PLAIN "+b64("\x00joe\x00secret")+"\r\n", "235")
		c.say("QUIT\r\n", "221")
	}
	if strings.Count(up.heard(), " AUTH ") != 2 {
		t.Errorf("the upstream heard of log-ins in clear:\n%s", up.heard())
	}
}

// Who is refused, or whose mail will be discarded, comes to no upstream, and
// cannot log in.
func TestAuthOfRefused(t *testing.T) {
	for _, at := range []filters.Stage{filters.Connect, filters.Helo} {
		for code, v := range map[string]filters.Verdict{
			"550": filters.Refuse("seer", 550, [3]uint16{5, 7, 1}, "Not you"),
			"502": {Action: filters.Discard, Finding: &filters.Finding{Reason: "seer"}},
		} {
			for _, plain := range []bool{false, true} {
				r, _ := newTLSRig(t, func(o *relay.Options) {
					o.Chain = newChain(t, o.Log, &seer{at: at, verdict: v})
					o.PlainAuth = plain
				})
				c := r.greeted()
				c.say("AUTH PLAIN x\r\n", code)
				c.say("EHLO c\r\nAUTH LOGIN\r\nQUIT\r\n", "250", code, "221")
				c.wantEnd()
			}
		}
	}
}

// guessing is a relay whose clients come by a proxy, and have two guesses.
func guessing(t *testing.T, failures *relay.Failures, change func(*relay.Options)) (*rig, *keptLog) {
	up := newAnswering(t, logins())
	var log *keptLog
	r := newRig(t, func(o *relay.Options) {
		proxied(o)
		o.Upstream = behind(newFleet(), up.addr, 10)
		o.Failures, o.MaxFailures, o.FailWindow = failures, 2, 10*time.Minute
		log = keeps(o)
		if change != nil {
			change(o)
		}
	})
	return r, log
}

// from is a client behind the proxy.
func (r *rig) from(addr string) *client {
	r.Helper()
	c := r.dial()
	c.say(header(r, 2, addr), "220")
	c.say("EHLO c\r\n", "250")
	return c
}

const wrong = "AUTH PLAIN AGpvZQB3cm9uZw==\r\n"

// Failures are counted for a client's network, over sessions and listeners.
func TestAuthFailures(t *testing.T) {
	start, passed := time.Now(), atomic.Int64{}
	failures := relay.NewFailures(100, func() time.Time { return start.Add(time.Duration(passed.Load())) })
	mx, log := guessing(t, failures, nil)
	submission, _ := guessing(t, failures, nil)
	c := mx.from("198.51.100.7:1")
	c.say(wrong+"RSET\r\n", "535", "250")
	c.say("QUIT\r\n", "221")
	submission.from("198.51.100.7:2").say(wrong, "535")
	for _, r := range []*rig{mx, submission} {
		c := r.from("198.51.100.7:3")
		c.say(wrong, "421 4.7.0 weir.example Too many failed log-ins, try again later")
		c.wantEnd()
	}
	log.line(t, "log-in failed", "client=198.51.100.7:1", "via=127.0.0.1:", "mechanism=PLAIN", "failures=1")
	log.line(t, "reason=auth_failures", "client=198.51.100.7:3", "via=127.0.0.1:", "action=hangup")
	c = mx.from("198.51.100.8:1")
	c.say(wrong+wrong+wrong, "535", "535", "421")
	mx.from("[2001:db8::1]:1").say(wrong, "535")
	mx.from("[2001:db8::2:0:0:1]:1").say(wrong, "535")
	mx.from("[2001:db8::3]:1").say(wrong, "421")
	mx.from("[2001:db8:0:1::3]:1").say(wrong, "535")
	mx.from("198.51.100.7:1").say("MAIL FROM:<a@x.example>\r\n", "250")
	passed.Store(int64(10 * time.Minute))
	mx.from("198.51.100.7:1").say("AUTH PLAIN "+b64("\x00joe\x00secret")+"\r\n", "235")
}

// A refusal that is not about the password is no failure.
func TestAuthRefusalsThatDoNotCount(t *testing.T) {
	replies := map[string]string{"AUTH PLAIN 1": "454 4.7.0 Later", "AUTH PLAIN 2": "504 5.5.4 No", "AUTH PLAIN 3": "501 5.5.2 What", "AUTH PLAIN 4": "534 5.7.9 Weak"}
	up := newAnswering(t, func(line string) string { return replies[line] })
	r, _ := guessing(t, relay.NewFailures(9, time.Now), func(o *relay.Options) { o.Upstream = behind(newFleet(), up.addr, 10) })
	c := r.from("198.51.100.7:1")
	for i, code := range []string{"454", "504", "501", "534"} {
		c.say(fmt.Sprintf("AUTH PLAIN %d\r\n", i+1), code)
	}
	c.say("AUTH LOGIN\r\nQUIT\r\n", "250", "221")
}

// Time passes as it does for all else.
func TestAuthWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := relay.NewFailures(10, time.Now)
		client := netip.MustParseAddr("198.51.100.7")
		for range 3 {
			f.Add(client, time.Minute)
		}
		if !f.Over(client, 3, time.Minute) {
			t.Error("it may go on")
		}
		time.Sleep(time.Minute - 1)
		if !f.Over(client, 3, time.Minute) {
			t.Error("it may go on too early")
		}
		time.Sleep(time.Nanosecond)
		if f.Over(client, 3, time.Minute) {
			t.Error("it may not go on")
		}
	})
}

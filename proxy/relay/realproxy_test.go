package relay_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/relay"
)

// A real haproxy tells of its clients and of their TLS. Its health checks are
// served as its own, and are nothing to warn of.
func TestBehindHAProxy(t *testing.T) {
	ca := peer.NewAuthority(t)
	for _, how := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"} {
		var saw *seer
		var log *keptLog
		r := newRig(t, func(o *relay.Options) { proxied(o); log = keeps(o); saw = sees(t, o) })
		encrypted := how == "send-proxy-v2-ssl-cn"
		o := peer.HAProxyOptions{Backend: r.addr, Header: how, Check: true}
		if encrypted {
			o.TLS, o.ClientCA = ca.Server(t, weir), ca.File
		}
		proxy := peer.HAProxy(t, o)
		conn, err := net.Dial("tcp", proxy.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		outer := conn
		if encrypted {
			conn = tls.Client(conn, ca.TLS(weir, ca.Client(t, "joe.example")))
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		c := &client{t, conn, bufio.NewReader(conn)}
		c.say("", "220")
		c.say("EHLO c\r\n", "250")
		c.say(envelope+"DATA\r\n", "250", "250", "354")
		c.say(letter+".\r\n", "250")
		got := saw.last(t, filters.Mail)
		if got.Client.String() != outer.LocalAddr().String() || got.Local.String() != proxy.Addr || !got.Via.IsValid() {
			t.Errorf("%s: the client is %s at %s by %s", how, got.Client, got.Local, got.Via)
		}
		if encrypted != (got.TLS.Version == "TLSv1.3") || encrypted && (got.TLS.Client != "joe.example" || !got.TLS.Verified) {
			t.Errorf("%s: the chain knows of %+v", how, got.TLS)
		}
		log.line(t, "msg=accepted", "client="+outer.LocalAddr().String())
		for end := time.Now().Add(10 * time.Second); saw.times(filters.Connect) < 4; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("haproxy does not check")
			}
		}
		c.say("QUIT\r\n", "221")
		log.lacks(t, "level=WARN", "level=ERROR")
	}
}

package peer_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A Postfix behind haproxy sees haproxy's client.
func TestHAProxy(t *testing.T) {
	postfix := peer.Postfix(t, peer.PostfixOptions{Services: []map[string]string{peer.TakesPROXY()}})
	ca := peer.NewAuthority(t)
	for _, test := range []struct{ name, header, backend, client string }{
		{"without", "", postfix.Addr, `127\.0\.0\.1`},
		{"version 1", "send-proxy", postfix.Services[0], `127\.0\.0\.21`},
		{"version 2", "send-proxy-v2", postfix.Services[0], `127\.0\.0\.22`},
		{"TLS", "send-proxy-v2-ssl-cn", postfix.Services[0], `127\.0\.0\.23`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := peer.HAProxyOptions{Backend: test.backend, Header: test.header}
			if test.name == "TLS" {
				o.TLS = ca.Server(t, "lb.test.example")
			}
			haproxy := peer.HAProxy(t, o)
			source := strings.ReplaceAll(test.client, `\`, "")
			c := peer.DialFrom(t, source, haproxy.Addr)
			version := "-"
			if o.TLS != nil {
				c.Secure(ca.TLS("lb.test.example"))
				version = `TLSv1\.3`
			}
			c.Expect("220")
			c.Hello()
			c.Quit()
			peer.Logged(t, postfix, `disconnect from unknown\[`+test.client+`\] ehlo=1 quit=1`)
			peer.Logged(t, haproxy, `^client=`+test.client+`:\d+ ended=-- ssl=`+version+`$`)
		})
	}
}

// haproxy tells its backend the name in the client's certificate.
func TestHAProxyClientCertificate(t *testing.T) {
	backend, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	ca := peer.NewAuthority(t)
	haproxy := peer.HAProxy(t, peer.HAProxyOptions{
		Backend: backend.Addr().String(), Header: "send-proxy-v2-ssl-cn",
		TLS: ca.Server(t, "lb.test.example"), ClientCA: ca.File,
	})
	conn, err := tls.Dial("tcp", haproxy.Addr, ca.TLS("lb.test.example", ca.Client(t, "joe the client")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	backend.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	in, err := backend.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	in.SetDeadline(time.Now().Add(20 * time.Second))
	// Section 2.2 of the PROXY protocol.
	head := make([]byte, 16)
	if _, err := io.ReadFull(in, head); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, binary.BigEndian.Uint16(head[14:]))
	if _, err := io.ReadFull(in, rest); err != nil {
		t.Fatal(err)
	}
	if string(head[:13]) != "\r\n\r\n\x00\r\nQUIT\n\x21" || !strings.Contains(string(rest), "joe the client") {
		t.Errorf("the header is %q%q", head, rest)
	}
}

// haproxy asks a backend whether it is well, in SMTP behind the header.
func TestHAProxyCheck(t *testing.T) {
	postfix := peer.Postfix(t, peer.PostfixOptions{Services: []map[string]string{peer.TakesPROXY()}})
	well := peer.HAProxy(t, peer.HAProxyOptions{Backend: postfix.Services[0], Header: "send-proxy-v2", Check: true})
	peer.Logged(t, well, `smtp/upstream succeeded, reason: Layer7 check passed, code: 2`)
	peer.Logged(t, postfix, `disconnect from .* ehlo=1 quit=1`)
	ill := peer.HAProxy(t, peer.HAProxyOptions{Backend: peer.FreeAddr(t), Check: true})
	peer.Logged(t, ill, `smtp/upstream failed, reason: Layer4 connection problem`)
}

package peer_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Certificates hold for what they say, and for nothing else, in the eyes of Go and
// of openssl.
func TestCertificates(t *testing.T) {
	ca, other := peer.NewAuthority(t), peer.NewAuthority(t)
	for _, test := range []struct {
		name  string
		leaf  peer.Leaf
		wants error  // of what kind
		says  string // openssl
	}{
		{"name", peer.Leaf{Names: []string{"mx.test.example"}}, nil, "Verification: OK"},
		{"other name", peer.Leaf{Names: []string{"mx2.test.example"}}, x509.HostnameError{}, "hostname mismatch"},
		{"expired", peer.Expired("mx.test.example"), x509.CertificateInvalidError{}, "certificate has expired"},
		{"a client's", peer.Leaf{Names: []string{"mx.test.example"}, Client: true}, x509.CertificateInvalidError{}, "unsuitable certificate purpose"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaf := ca.Issue(t, test.leaf)
			_, err := leaf.Parsed.Verify(x509.VerifyOptions{Roots: ca.Pool, DNSName: "mx.test.example"})
			if !sameKind(err, test.wants) {
				t.Errorf("Go says %v, want %T", err, test.wants)
			}
			if _, err := leaf.Parsed.Verify(x509.VerifyOptions{Roots: other.Pool}); err == nil {
				t.Error("Go takes it from another authority")
			}
			postfix := peer.Postfix(t, peer.PostfixOptions{TLS: leaf, Services: []map[string]string{peer.ImplicitTLS(), peer.RequiresTLS()}})
			verify := []string{"-CAfile", ca.File, "-verify_hostname", "mx.test.example", "-purpose", "sslserver"}
			for addr, args := range map[string][]string{postfix.Addr: {"-starttls", "smtp"}, postfix.Services[0]: nil} {
				out, exit := peer.OpenSSL(t, addr, "EHLO client.test.example\nQUIT\n", append(verify, args...)...)
				if exit != 0 || !strings.Contains(out, test.says) || !strings.Contains(out, "250-PIPELINING") || !strings.Contains(out, "221 2.0.0 Bye") {
					t.Errorf("status %d, no %q or no dialogue in what openssl says:\n%s", exit, test.says, out)
				}
			}
			c := peer.Dial(t, postfix.Services[1])
			c.Hello()
			c.Do("530 5.7.0", "MAIL FROM:<a@test.example>")
		})
	}
}

func sameKind(err, kind error) bool {
	switch kind.(type) {
	case nil:
		return err == nil
	case x509.HostnameError:
		return errors.As(err, new(x509.HostnameError))
	default:
		return errors.As(err, new(x509.CertificateInvalidError))
	}
}

// Both MTAs see and verify a client's certificate.
func TestClientCertificates(t *testing.T) {
	ca := peer.NewAuthority(t)
	server, client := ca.Server(t, "mx.test.example"), ca.Client(t, "joe the client")
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, TLS: server})
	sendmail := peer.Sendmail(t, peer.SendmailOptions{Relayhost: sink.Addr, TLS: server})
	for i, test := range []struct {
		addr, verified string
		log            peer.Logger
		pattern        string
	}{
		{postfix.Addr, `(Client CN "joe the client", Issuer "Test CA" (verified OK))`, postfix, "Trusted TLS connection established from .*TLSv1.3"},
		{sendmail.Addr, "verify=OK)", sendmail, "STARTTLS=server, relay=.*verify=OK"},
	} {
		out, exit := peer.Swaks(t, test.addr, append(oneMessage, "--tls", "--tls-verify", "--tls-ca-path", ca.File,
			"--tls-cert", client.CertFile, "--tls-key", client.KeyFile)...)
		if exit != 0 {
			t.Fatalf("swaks: status %d\n%s", exit, out)
		}
		if received := sink.Wait(t, i+1, time.Minute)[i].Received(); !strings.Contains(received, test.verified) {
			t.Errorf("no %q in Received: %s", test.verified, received)
		}
		peer.Logged(t, test.log, test.pattern)
	}
}

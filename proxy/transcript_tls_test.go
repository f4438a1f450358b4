package proxy_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// duplex is a connection that can be closed by half: of TCP, or of TLS on it.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// certified reports whether the configuration names mx.pem and mx.key, a
// certificate of mx.example that is there for all who ask.
func (tr *transcript) certified() bool { return strings.Contains(tr.config, "mx.pem") }

// certify writes that certificate into the folder.
func (tr *transcript) certify(t *testing.T, dir string) {
	t.Helper()
	c := peer.NewAuthority(t).Issue(t, peer.Leaf{Names: []string{"mx.example"}, NotAfter: time.Now().AddDate(1, 0, 0)})
	for from, to := range map[string]string{c.CertFile: "mx.pem", c.KeyFile: "mx.key"} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// encrypt goes on in TLS, as the client. The certificate's name is for the tests
// of package relay.
func (p *player) encrypt() error {
	if p.side != 'C' || p.in.Buffered() > 0 {
		return errors.New("TLS can be begun by a client that has heard all")
	}
	conn := tls.Client(p.conn, &tls.Config{ServerName: "mx.example", InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		return err
	}
	p.conn, p.in = conn, bufio.NewReader(conn)
	return nil
}

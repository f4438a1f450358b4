package upstream_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// mta is one connection to a scripted upstream, as that sees it.
type mta struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	n    int // of the connection, from 0
}

// say sends lines in one write.
func (m *mta) say(lines ...string) {
	m.t.Helper()
	if _, err := io.WriteString(m.conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		m.t.Errorf("saying %q: %v", lines, err)
	}
}

// line reads what the relay says next, "" for nothing more.
func (m *mta) line() string {
	line, _ := m.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n")
}

// hear reads lines, which must be those.
func (m *mta) hear(lines ...string) {
	m.t.Helper()
	for _, want := range lines {
		if got := m.line(); got != want {
			m.t.Errorf("the upstream heard %q, want %q", got, want)
		}
	}
}

// answer hears a line and answers it.
func (m *mta) answer(line string, reply ...string) {
	m.t.Helper()
	m.hear(line)
	m.say(reply...)
}

// over waits for the end of the connection.
func (m *mta) over() {
	m.t.Helper()
	if line := m.line(); line != "" {
		m.t.Errorf("the upstream heard %q, want the end", line)
	}
}

// secure goes over to TLS.
func (m *mta) secure(config *tls.Config) error {
	conn := tls.Server(buffered{m.conn, m.in}, config)
	if err := conn.Handshake(); err != nil {
		return err
	}
	m.conn, m.in = conn, bufio.NewReader(conn)
	return nil
}

// buffered is a connection of which something was read already.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// play starts an upstream that plays the script once for each connection, and
// returns its address. The test does not end before the scripts do.
func play(t *testing.T, script func(*mta)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			all.Go(func() {
				defer conn.Close()
				script(&mta{t, conn, bufio.NewReader(conn), n})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// theClient is who the relay has a session with.
func theClient() *filters.Session {
	return &filters.Session{
		ID:     "0123456789",
		Client: netip.MustParseAddrPort("192.0.2.7:4711"),
		Local:  netip.MustParseAddrPort("198.51.100.25:25"),
		Helo:   "client.example",
		ESMTP:  true,
	}
}

// patient are the time-outs of tests where nothing is late.
var patient = upstream.Timeouts{
	Connect: 10 * time.Second, Handshake: 10 * time.Second, Greeting: 10 * time.Second, Mail: 10 * time.Second, Rcpt: 10 * time.Second,
	Data: 10 * time.Second, Block: 10 * time.Second, EndOfData: 10 * time.Second, Other: 10 * time.Second,
}

// side is ours: a fleet with one group.
type side struct {
	fleet    *upstream.Fleet
	group    *upstream.Group
	log      *filtertest.Log
	timeouts upstream.Timeouts
}

// behind returns a side with a server at an address. Records of the DNS are for
// the names of clients.
func behind(t *testing.T, addr string, o upstream.Options, records ...string) *side {
	t.Helper()
	at := netip.MustParseAddrPort(addr)
	o.Name, o.Hostname, o.MaxConnections = "mx", "relay.example", 10
	o.BackOff = upstream.BackOff{First: time.Second, Max: time.Minute}
	o.Servers = []upstream.Server{{Host: at.Addr().String(), Port: at.Port(), Weight: 1}}
	env, log := filtertest.Env("")
	if len(records) > 0 {
		env.Resolver, o.ClientName = filtertest.NewZone(t, strings.Join(records, "\n")), true
	}
	s := &side{fleet: upstream.NewFleet(env), log: log, timeouts: patient}
	s.group = s.fleet.Group(o)
	t.Cleanup(func() {
		s.group.Close()
		s.fleet.Close()
	})
	return s
}

// open opens a connection for a client.
func (s *side) open(t *testing.T, client *filters.Session) (*upstream.Conn, error) {
	t.Helper()
	return s.group.Open(t.Context(), client, &s.timeouts)
}

// opens opens a connection that says QUIT at once.
func (s *side) opens(t *testing.T, client *filters.Session) {
	t.Helper()
	c, err := s.open(t, client)
	if err != nil {
		t.Fatal(err)
	}
	c.Quit()
}

// fails holds that no connection can be opened, for a reason that has words in it.
func (s *side) fails(t *testing.T, client *filters.Session, words ...string) error {
	t.Helper()
	c, err := s.open(t, client)
	if err == nil {
		c.Close()
		t.Fatal("opened")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
	return err
}

// trusting returns TLS as the configuration has it.
func trusting(t *testing.T, c certs.Client) func(string) *tls.Config {
	t.Helper()
	shelf := certs.New(filters.Env{Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(shelf.Close)
	config, err := shelf.Client(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(config.Close)
	return config.Config
}

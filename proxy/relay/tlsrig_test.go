package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/ipset"
	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/relay"
)

// weir is the name of our certificate.
const weir = "weir.example"

// encrypts has a relay offer TLS, with a certificate of an authority that it
// returns.
func encrypts(t testing.TB, o *relay.Options, change func(*certs.Server)) *peer.Authority {
	t.Helper()
	ca := peer.NewAuthority(t)
	own := ca.Server(t, weir)
	s := certs.Server{Certificates: []certs.Pair{{Certificate: own.CertFile, Key: own.KeyFile}}}
	if change != nil {
		change(&s)
	}
	shelf := certs.New(filters.Env{Log: quiet})
	t.Cleanup(shelf.Close)
	config, err := shelf.Server(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(config.Close)
	o.TLS = &relay.TLS{Config: config}
	o.Timeouts.Handshake = o.Timeouts.Command
	return ca
}

// newTLSRig starts a relay that offers TLS, and returns how its clients trust it.
func newTLSRig(t *testing.T, change func(*relay.Options)) (*rig, *tls.Config) {
	t.Helper()
	var ca *peer.Authority
	r := newRig(t, func(o *relay.Options) {
		ca = encrypts(t, o, nil)
		if change != nil {
			change(o)
		}
	})
	return r, ca.TLS(weir)
}

// listed makes a set of networks.
func listed(networks ...string) relay.Peers {
	var list []ipset.Net
	for _, n := range networks {
		var one ipset.Net
		if err := one.UnmarshalText([]byte(n)); err != nil {
			panic(err)
		}
		list = append(list, one)
	}
	return ipset.Of(list)
}

// greeted is a client that has greeted.
func (r *rig) greeted() *client {
	r.Helper()
	c := r.dial()
	c.say("", "220")
	c.say("EHLO c\r\n", "250")
	return c
}

// startTLS goes on in TLS after the reply to STARTTLS.
func (c *client) startTLS(config *tls.Config) *client {
	c.Helper()
	c.say("STARTTLS\r\n", "220")
	return c.shake(config)
}

// shake makes the handshake.
func (c *client) shake(config *tls.Config) *client {
	c.Helper()
	conn := tls.Client(c.Conn, config)
	if err := conn.Handshake(); err != nil {
		c.Fatalf("handshake: %v", err)
	}
	return &client{c.T, conn, bufio.NewReader(conn)}
}

// hear compares the code of the next reply.
func (c *client) hear(code string) {
	c.Helper()
	if got := c.reply(); !strings.HasPrefix(got, code) {
		c.Errorf("the reply is %q, want %s", got, code)
	}
}

// rest returns all that is said up to the end.
func (c *client) rest() string {
	c.Helper()
	all, err := io.ReadAll(c.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.Error("the relay does not close")
	}
	return string(all)
}

// silent checks that the relay has closed, and has said nothing in clear. An
// alert of TLS may come.
func (c *client) silent() {
	c.Helper()
	if got := c.rest(); got != "" && got[0] != 0x15 {
		c.Errorf("the relay says in clear %q", got)
	}
}

// keptLog is a log that can be read.
type keptLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *keptLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *keptLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// keeps has the relay log to what it returns.
func keeps(o *relay.Options) *keptLog {
	log := &keptLog{}
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return log
}

// line waits for a record with all these words.
func (l *keptLog) line(t testing.TB, words ...string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
	lines:
		for line := range strings.Lines(l.String()) {
			for _, w := range words {
				if !strings.Contains(line, w) {
					continue lines
				}
			}
			return line
		}
	}
	t.Errorf("the log lacks %q:\n%s", words, l)
	return ""
}

// lacks checks that no record has one of these words.
func (l *keptLog) lacks(t testing.TB, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(l.String(), w) {
			t.Errorf("the log has %q:\n%s", w, l)
		}
	}
}

// seer is a filter that keeps what it is told of sessions at each stage.
type seer struct {
	at      filters.Stage   // where it finds
	verdict filters.Verdict // this

	mu   sync.Mutex
	seen []seen
}

type seen struct {
	at                                       filters.Stage
	ID, Helo, ClientName, AuthType, AuthUser string
	Client, Local, Via                       netip.AddrPort
	TLS                                      filters.TLS
}

func (f *seer) note(at filters.Stage, s *filters.Session) filters.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, seen{
		at: at, ID: s.ID, Helo: s.Helo, ClientName: s.ClientName, AuthType: s.AuthType, AuthUser: s.AuthUser,
		Client: s.Client, Local: s.Local, Via: s.Via, TLS: s.TLS,
	})
	if f.at == at {
		return f.verdict
	}
	return filters.Verdict{}
}

func (f *seer) Connect(_ context.Context, s *filters.Session) filters.Verdict {
	return f.note(filters.Connect, s)
}

func (f *seer) Helo(_ context.Context, s *filters.Session) filters.Verdict {
	return f.note(filters.Helo, s)
}

func (f *seer) Mail(_ context.Context, t *filters.Transaction) filters.Verdict {
	return f.note(filters.Mail, t.Session)
}

// last returns the session as it was when that stage was asked about last.
func (f *seer) last(t testing.TB, at filters.Stage) seen {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.seen) - 1; i >= 0; i-- {
		if f.seen[i].at == at {
			return f.seen[i]
		}
	}
	t.Fatalf("the chain was not asked at %s", at)
	return seen{}
}

// times returns how often that stage was asked about.
func (f *seer) times(at filters.Stage) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.seen {
		if s.at == at {
			n++
		}
	}
	return n
}

// sees puts a seer into a chain.
func sees(t testing.TB, o *relay.Options) *seer {
	f := &seer{}
	o.Chain = newChain(t, o.Log, f)
	return f
}

// answering is an upstream that answers lines as it is told: with no text of
// messages.
type answering struct {
	*testing.T
	addr   string
	answer func(line string) string // "" for 250

	mu    sync.Mutex
	conns int
	lines []string // with the number of the connection before them
}

func newAnswering(t *testing.T, answer func(line string) string) *answering {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &answering{T: t, addr: l.Addr().String(), answer: answer}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { a.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		done.Wait()
	})
	return a
}

func (a *answering) serve(conn net.Conn) {
	defer conn.Close()
	a.mu.Lock()
	a.conns++
	mark := string(rune('0' + a.conns))
	a.mu.Unlock()
	io.WriteString(conn, "220 up.example ESMTP\r\n")
	for in := bufio.NewScanner(conn); in.Scan(); {
		line := in.Text()
		a.mu.Lock()
		a.lines = append(a.lines, mark+" "+line)
		a.mu.Unlock()
		reply := a.answer(line)
		switch verb, _, _ := strings.Cut(line, " "); {
		case reply != "":
		case verb == "EHLO":
			reply = "250-up.example\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2"
		case verb == "QUIT":
			io.WriteString(conn, "221 Bye\r\n")
			return
		default:
			reply = "250 Ok"
		}
		io.WriteString(conn, reply+"\r\n")
	}
}

// heard returns all lines.
func (a *answering) heard() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.lines, "\n")
}

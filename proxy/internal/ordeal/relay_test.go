package ordeal_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/proxy/internal/ordeal"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ordealPatience is how long mailweir waits for the upstream.
const ordealPatience = 3 * time.Second

// ordealListener are the settings of a listener that gives up on an upstream
// which stalls.
const ordealListener = `upstream: ups, errors: 1000, timeouts: {upstream: {
  greeting: 3s, mail: 3s, rcpt: 3s, data: 3s, end_of_data: 3s, other: 3s, tls_handshake: 3s}}`

// passed is the field that a chain adds, which shows that a message was filtered.
const passed = "X-Passed: yes\r\n"

// adding is a chain that needs the whole message.
const adding = `[headers: {add: [{name: X-Passed, value: "yes"}]}]`

// A scenario is a way for messages to take.
type scenario struct {
	name     string
	servers  int
	chunks   bool
	usual    int  // messages, unless told
	secure   bool // TLS on both sides, and the upstream is told who the client is
	routed   bool // one of two domains goes elsewhere, by LMTP
	chain    string
	upstream string // keys of the group
}

// TestNoLoss sends messages through a mailweir that is killed time and again, to
// upstreams that fail at every point of the dialogue. Each message that was
// acknowledged is at the upstream, octet by octet; those that are there without
// their client's knowledge are so because somebody kept the upstream's reply from
// arriving (RFC 1047).
func TestNoLoss(t *testing.T) {
	binary := peer.BuildMailweir(t)
	var report report
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { report.add(s.name, s.test(t, binary)) })
	}
	for _, f := range filteredMTAs {
		t.Run(f.name, func(t *testing.T) { report.add(f.name, f.test(t, binary)) })
	}
	report.write(t, len(scenarios)+len(filteredMTAs))
}

var scenarios = []scenario{
	{name: "passed on as it comes", servers: 1, chain: "[]"},
	{name: "held, a field added, some by BDAT", servers: 1, chunks: true, chain: adding},
	{name: "reuse", servers: 1, chain: "[]", upstream: "reuse: true, "},
	{name: "reuse, two servers, some by BDAT", servers: 2, chunks: true, chain: "[]", upstream: "balance: least_sessions, reuse: true, "},
	{name: "TLS, XCLIENT, two servers", servers: 2, usual: 120, secure: true, chain: "[]", upstream: "identity: xclient, "},
	{name: "routes, one to LMTP", servers: 1, routed: true, chain: "[]"},
}

func (s scenario) test(t *testing.T, binary peer.Mailweir) *ordeal.Judgement {
	messages, seed := ordealSize(t, cmp.Or(s.usual, 250))
	ledger := &ordeal.Ledger{Patience: ordealPatience}
	m := newMortal(ledger, seed)
	sender := ordeal.Sender{Seed: seed, Messages: messages, Crowd: 24, Chunks: s.chunks, Rudeness: 0.02, Ledger: ledger, Kill: m.order}
	o := ordeal.Options{Name: "up", Seed: seed, Rate: 0.06, Kill: m.order}
	if s.chain == adding {
		o.Original = withoutPassed
	}
	listener, keys, groups := ordealListener, s.upstream, groups{}
	if s.secure {
		ours, theirs := encrypt(t, &sender, &o)
		listener += ours
		keys += theirs
	}
	if s.routed {
		store := o
		o.Domain, store.Name, store.Domain, store.LMTP = ordeal.Domain, "store", ordeal.OtherDomain, true
		listener += ", routes: [{domains: [" + store.Domain + "], upstream: store}]"
		groups.add(t, ledger, "store", "protocol: lmtp, ", s.servers, store)
	}
	groups.add(t, ledger, "ups", keys, s.servers, o)
	r := binary.RelayWith(t, peer.RelayOptions{
		Listener: listener,
		Chain:    s.chain,
		Top:      "sessions: {max_per_client: 1000}\nupstreams:\n" + groups.config,
	})
	m.kill, m.start = func() { killAlive(t, r.Process) }, func() { binary.Again(t, r) }
	sender.Addr = r.Addr
	m.run(t, sender)
	groups.close()
	ledger.ReadLog([]byte(r.Log()))
	j := judge(t, ledger, messages)
	if j.Kills == 0 || len(j.Windows) == 0 {
		t.Error("that was no ordeal: nothing was killed, or no reply was lost")
	}
	return j
}

// encrypt has clients and upstream speak TLS, and the upstream want to know who
// the client is. It returns the keys for it of the listener and the group.
func encrypt(t *testing.T, s *ordeal.Sender, o *ordeal.Options) (listener, group string) {
	t.Helper()
	ca := peer.NewAuthority(t)
	ours, theirs := ca.Server(t, "relay.test.example"), ca.Server(t, "up.test.example")
	s.TLS = ca.TLS("relay.test.example")
	o.TLS, o.XClient = &tls.Config{Certificates: []tls.Certificate{theirs.X509}}, true
	o.Rate /= 2 // a session has many more replies
	return fmt.Sprintf(", tls: {require: true, certificates: [{certificate: %q, key: %q}]}", ours.CertFile, ours.KeyFile),
		fmt.Sprintf("tls: {mode: required, ca: %q, server_name: up.test.example}, ", ca.File)
}

// groups are the upstreams of a scenario.
type groups struct {
	config    string // in YAML
	upstreams []*ordeal.Upstream
}

// add starts the servers of a group, of which keys are more settings.
func (g *groups) add(t *testing.T, l *ordeal.Ledger, name, keys string, servers int, o ordeal.Options) {
	t.Helper()
	var list []string
	for n := range servers {
		each := o
		each.Name += fmt.Sprint(n)
		u := upstreamOf(t, l, each)
		g.upstreams = append(g.upstreams, u)
		list = append(list, fmt.Sprintf("{address: %q}", u.Addr))
	}
	g.config += fmt.Sprintf("  - {name: %s, %sbackoff: {first: 10ms, max: 50ms}, servers: [%s]}\n", name, keys, strings.Join(list, ", "))
}

func (g *groups) close() {
	for _, u := range g.upstreams {
		u.Close()
	}
}

// upstreamOf starts an upstream that ends with the test, if not before.
func upstreamOf(t *testing.T, l *ordeal.Ledger, o ordeal.Options) *ordeal.Upstream {
	t.Helper()
	u, err := ordeal.Listen(l, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// withoutPassed takes the field away that mailweir has added.
func withoutPassed(text []byte) (original []byte, wrong string) {
	header, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	if bytes.Count(append(header, "\r\n"...), []byte(passed)) != 1 {
		return nil, "mailweir has not filtered it"
	}
	return bytes.Replace(text, []byte(passed), nil, 1), ""
}

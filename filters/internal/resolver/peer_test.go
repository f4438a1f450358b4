package resolver_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// question is what a name server has been asked.
type question struct {
	*dns.Msg
	tcp    bool
	client net.Addr
}

func (q question) name() string { return q.Question[0].Name }

// manners say what a name server sends for a question, packet by packet.
type manners func(q question) [][]byte

// peer is a name server on the loopback.
type peer struct {
	t     testing.TB
	addr  netip.AddrPort
	reply manners
	mu    sync.Mutex
	heard []question
	ends  []io.Closer
	all   sync.WaitGroup
}

// serve starts a name server for UDP and TCP. It ends with the test.
func serve(t testing.TB, reply manners) *peer {
	t.Helper()
	p := &peer{t: t, addr: netip.MustParseAddrPort("127.0.0.1:0"), reply: reply}
	for range 100 {
		if p.start(true) == nil {
			t.Cleanup(p.stop)
			return p
		}
		p.stop()
		p.addr = netip.MustParseAddrPort("127.0.0.1:0")
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil
}

// serveUDP is serve without TCP.
func serveUDP(t testing.TB, reply manners) *peer {
	t.Helper()
	p := &peer{t: t, addr: netip.MustParseAddrPort("127.0.0.1:0"), reply: reply}
	if err := p.start(false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// start listens on the address, which it keeps for the next start.
func (p *peer) start(tcp bool) error {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(p.addr))
	if err != nil {
		return err
	}
	p.addr = udp.LocalAddr().(*net.UDPAddr).AddrPort()
	p.ends = []io.Closer{udp}
	p.all.Go(func() { p.serveUDP(udp) })
	if !tcp {
		return nil
	}
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(p.addr))
	if err != nil {
		return err
	}
	p.ends = append(p.ends, listener)
	p.all.Go(func() { p.serveTCP(listener) })
	return nil
}

func (p *peer) stop() {
	for _, end := range p.ends {
		end.Close()
	}
	p.ends = nil
	p.all.Wait()
}

func (p *peer) serveUDP(conn *net.UDPConn) {
	packet := make([]byte, 4096)
	for {
		n, client, err := conn.ReadFromUDP(packet)
		if err != nil {
			return
		}
		q := p.note(packet[:n], false, client)
		p.all.Go(func() {
			for _, out := range p.reply(q) {
				conn.WriteToUDP(out, client)
			}
		})
	}
}

func (p *peer) serveTCP(listener *net.TCPListener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() {
			defer conn.Close()
			in := dns.Conn{Conn: conn}
			packet, err := in.ReadMsgHeader(nil)
			if err != nil {
				return
			}
			for _, out := range p.reply(p.note(packet, true, conn.RemoteAddr())) {
				conn.Write(out)
			}
		})
	}
}

func (p *peer) note(packet []byte, tcp bool, client net.Addr) question {
	q := question{new(dns.Msg), tcp, client}
	if err := q.Unpack(packet); err != nil {
		p.t.Errorf("the question cannot be read: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, q)
	return q
}

// asked returns all questions so far.
func (p *peer) asked() []question {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]question(nil), p.heard...)
}

// answer is a reply with those records.
func answer(q question, records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q.Msg)
	m.RecursionAvailable = true
	for _, text := range records {
		m.Answer = append(m.Answer, record(text))
	}
	return m
}

// nothing is a reply of that code, with a SOA record if soa is not "".
func nothing(q question, rcode int, soa string) *dns.Msg {
	m := answer(q)
	m.Rcode = rcode
	if soa != "" {
		m.Ns = []dns.RR{record(soa)}
	}
	return m
}

// record reads a record in the form of zone files. "RAW 1 C000" in place of a
// type stands for malformed data of type 1.
func record(text string) dns.RR {
	if before, after, raw := strings.Cut(text, " RAW "); raw {
		h := *record(before + " A 0.0.0.0").Header()
		data := ""
		fmt.Sscan(after, &h.Rrtype, &data)
		return &dns.RFC3597{Hdr: h, Rdata: data}
	}
	rr, err := dns.NewRR(text)
	if err != nil || rr == nil {
		panic("bad record in a test: " + text)
	}
	return rr
}

// send packs messages as they go over the wire of the question.
func send(q question, replies ...*dns.Msg) [][]byte {
	var out [][]byte
	for _, m := range replies {
		packet, err := m.Pack()
		if err != nil {
			panic(err)
		}
		out = append(out, frame(q, packet))
	}
	return out
}

func frame(q question, packet []byte) []byte {
	if !q.tcp {
		return packet
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
}

// says replies with those records to every question.
func says(records ...string) manners {
	return func(q question) [][]byte { return send(q, answer(q, records...)) }
}

// addresses replies to every question with an A record of its name.
func addresses(q question) [][]byte { return send(q, answer(q, q.name()+" 300 A 192.0.2.1")) }

func mute(question) [][]byte { return nil }

// open opens a resolver that ends with the test.
func open(t testing.TB, o resolver.Options) *resolver.Resolver {
	t.Helper()
	r, err := resolver.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// to are options with those servers, patient enough for a busy machine.
func to(peers ...*peer) resolver.Options {
	o := resolver.Options{Attempt: 20 * time.Second, Timeout: 40 * time.Second}
	for _, p := range peers {
		o.Servers = append(o.Servers, p.addr)
	}
	return o
}

func ask(t testing.TB, r filters.Resolver, typ filters.RecordType, name string) (filters.Answer, error) {
	t.Helper()
	return r.Lookup(t.Context(), filters.Question{Name: name, Type: typ})
}

// tally is metrics that a test can read.
type tally struct {
	mu     sync.Mutex
	values map[string]float64
}

func (m *tally) get(name string, labels ...string) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[name+" "+strings.Join(labels, " ")]
}

type instrument struct {
	*tally
	name string
}

func (m *tally) Counter(name, help string, labels ...string) filters.Counter {
	return instrument{m, name}
}

func (m *tally) Gauge(name, help string, labels ...string) filters.Gauge { return instrument{m, name} }

func (m *tally) Histogram(name, help string, _ []float64, labels ...string) filters.Histogram {
	return instrument{m, name}
}

func (i instrument) change(values []string, how func(float64) float64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.values == nil {
		i.values = map[string]float64{}
	}
	at := i.name + " " + strings.Join(values, " ")
	i.values[at] = how(i.values[at])
}

func (i instrument) Add(n float64, values ...string) {
	i.change(values, func(old float64) float64 { return old + n })
}

func (i instrument) Set(n float64, values ...string) {
	i.change(values, func(float64) float64 { return n })
}

func (i instrument) Observe(_ float64, values ...string) { i.Add(1, values...) }

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1700000000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// journal is a log that a test can read.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// wires connects resolvers with name servers that live in the test's bubble,
// by address.
type wires struct {
	t       testing.TB
	servers map[string]manners // nil refuses connections

	mu    sync.Mutex
	heard []string // address and network of each connection
}

func (w *wires) dial(_ context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.heard = append(w.heard, address+" "+network)
	reply := w.servers[address]
	w.mu.Unlock()
	if reply == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	go w.serve(server, network == "tcp", reply)
	return client, nil
}

func (w *wires) serve(conn net.Conn, tcp bool, reply manners) {
	defer conn.Close()
	packet := make([]byte, 4096)
	n, err := conn.Read(packet)
	if err != nil {
		return
	}
	q := question{Msg: new(dns.Msg), tcp: tcp}
	body := packet[:n]
	if tcp {
		body = body[2:]
	}
	if err := q.Unpack(body); err != nil {
		w.t.Errorf("the question cannot be read: %v", err)
		return
	}
	for _, out := range reply(q) {
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
	io.Copy(io.Discard, conn) // until the resolver hangs up
}

func (w *wires) set(address string, reply manners) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[address] = reply
}

// took returns the connections since the last call.
func (w *wires) took() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := strings.Join(w.heard, ", ")
	w.heard = nil
	return out
}

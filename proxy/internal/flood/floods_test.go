package flood_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/flood"
	"github.com/mailweir/mailweir/proxy/internal/marked"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

const (
	ehlo     = "EHLO c.test.example\r\n"
	mailFrom = "MAIL FROM:<a@x.example>\r\n"
	rcptTo   = "RCPT TO:<b@y.example>\r\n"

	// clientHello begins a hello of TLS that is longer.
	clientHello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
)

// A scene is a flood, with the reasons that must turn it away, and how mailweir
// is set up for it.
type scene struct {
	flood.Crowd
	full     int // clients at full scale; few otherwise
	wants    []string
	implicit bool
	rcpts    bool // counts more than the commands
	listener string
	top      string
}

// few clients of each flood belong to the test suite.
const few = 20

var scenes = []scene{
	{Crowd: flood.Crowd{Name: "idle", Does: "EHLO, then nothing, of each tenth not even that", Begin: []string{"", ehlo}, Silent: 10}, full: 10_000, wants: []string{"client_timeout"},
		listener: "timeouts: {command: $long}", top: "max: 20000"},
	{Crowd: flood.Crowd{Name: "crowded out", Does: "EHLO, then nothing, three times as many as sessions may be", Begin: []string{"", ehlo}, Rounds: 2}, full: 3000,
		wants: []string{"too_many_sessions", "client_timeout"}, listener: "timeouts: {command: 5m}", top: "max: $third, stress: {share: 0.5, command: 2s}"},
	{Crowd: flood.Crowd{Name: "connections", Does: "one network, 2000 a second", Rate: 2000, Begin: []string{"", ehlo}, First: "QUIT\r\n"}, full: 20_000,
		wants: []string{"too_many_new_sessions_of_client"}, top: "max: 5000, new_per_client: 5, client_network: {ipv4: 24}"},
	{Crowd: flood.Crowd{Name: "slow command", Does: "one octet a second", Begin: []string{""}, First: "EHLO ", Again: "x", Pause: time.Second}, full: 500, wants: []string{"client_timeout"}},
	{Crowd: flood.Crowd{Name: "slow text", Does: "DATA, one octet a second", Begin: []string{"", ehlo, mailFrom, rcptTo, "DATA\r\n"}, Again: "x", Pause: time.Second}, full: 500, wants: []string{"text_too_slow"}},
	{Crowd: flood.Crowd{Name: "slow STARTTLS", Does: "handshake, one octet a second", Begin: []string{"", ehlo, "STARTTLS\r\n"}, First: clientHello, Again: "\x00", Pause: time.Second}, full: 500, wants: []string{"handshake_too_slow"}},
	{Crowd: flood.Crowd{Name: "slow TLS", Does: "handshake from the first octet, one octet a second", First: clientHello, Again: "\x00", Pause: time.Second}, full: 500, wants: []string{"handshake_too_slow"}, implicit: true},
	{Crowd: flood.Crowd{Name: "hello of TLS", Does: "on a port in clear", Begin: []string{""}, First: clientHello + strings.Repeat("\x00", 506)}, full: 500, wants: []string{"client_timeout"}},
	{Crowd: flood.Crowd{Name: "HTTP", Does: "requests without end", Again: "GET / HTTP/1.1\r\nHost: mx.example\r\n\r\n", Rounds: 5}, full: 200, wants: []string{"too_many_errors"}},
	{Crowd: flood.Crowd{Name: "junk", Does: "octets that are no commands", Again: "\x00\xff\x80\r\x01\x0a\x1b[2J\r\n", Rounds: 5}, full: 200, wants: []string{"too_many_errors"}},
	{Crowd: flood.Crowd{Name: "line", Does: "a command line without end", Again: strings.Repeat("x", 64<<10), Rounds: 2}, full: 200, wants: []string{"line_without_end"}},
	{Crowd: flood.Crowd{Name: "recipients", Does: "100,000 RCPT in one go", Begin: []string{"", ehlo, mailFrom}, First: strings.Repeat(rcptTo, 100_000)}, full: 100, rcpts: true, wants: []string{"too_many_recipients", "too_many_errors"}},
	{Crowd: flood.Crowd{Name: "refused recipients", Does: "100,000 RCPT that the upstream refuses", Begin: []string{"", ehlo, mailFrom}, First: strings.Repeat("RCPT TO:<nobody@y.example>\r\n", 100_000)}, full: 100, rcpts: true, wants: []string{"too_many_errors"}},
	{Crowd: flood.Crowd{Name: "NOOP", Does: "without end", Begin: []string{"", ehlo}, Again: "NOOP\r\n", Rounds: 2}, full: 100, wants: []string{"too_many_commands"}},
	{Crowd: flood.Crowd{Name: "RSET", Does: "transactions without end", Begin: []string{"", ehlo}, Again: mailFrom + rcptTo + "RSET\r\n", Rounds: 2}, full: 100, wants: []string{"too_many_commands"}},
	{Crowd: flood.Crowd{Name: "EHLO", Does: "without end", Again: ehlo, Rounds: 2}, full: 100, wants: []string{"too_many_commands"}},
}

// TestFloods lets each flood come over a mailweir, while a client that means well
// sends mail. All its messages arrive, and each flood is turned away with its
// reason. FLOOD_FULL=1 is for the great numbers, FLOOD_REPORT names the document
// to write what was seen into.
func TestFloods(t *testing.T) {
	binary := peer.BuildMailweir(t)
	full := os.Getenv("FLOOD_FULL") != ""
	results := make([]flood.Result, len(scenes))
	var all sync.WaitGroup
	for i := range scenes {
		all.Go(func() {
			t.Run(scenes[i].Name, func(t *testing.T) {
				s := scenes[i]
				s.Network = 64 + i
				results[i] = s.play(t, binary, full)
			})
		})
		if full {
			all.Wait()
		}
	}
	all.Wait()
	if t.Failed() {
		return
	}
	table := flood.Table(results)
	t.Log("\n" + table)
	if file := os.Getenv("FLOOD_REPORT"); file != "" {
		if err := marked.Rewrite(file, "flood", "\n"+table); err != nil {
			t.Error(err)
		}
	}
}

// play lets the flood come.
func (s *scene) play(t *testing.T, binary peer.Mailweir, full bool) flood.Result {
	long, patience := "5s", "4s"
	switch s.Clients = few; {
	case full:
		s.Clients, long, patience = s.full, "40s", "5s"
	case s.Rate > 0:
		s.Clients = 10 * few
	default:
		s.Rounds = 1
	}
	w := s.start(t, binary, long, patience)
	s.Addr = w.Addr
	if s.implicit {
		s.Addr = w.More[0]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r := flood.Result{Crowd: &s.Crowd, Sender: &flood.Sender{Addr: w.Addr, From: net.IPv4(127, 0, 0, 7), Pause: 20 * time.Millisecond}}
	over, watched, sent := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		w.watch.Run(over)
		close(watched)
	}()
	go func() { sent <- r.Sender.Run(ctx, 5, over) }()
	begin := time.Now()
	made, failed := s.Run(ctx)
	r.Made, r.Took = made, time.Since(begin)
	close(over)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	<-watched
	s.judge(t, w, &r, failed, ctx.Err())
	return r
}

// commands is how many a session may have.
func (s *scene) commands() int {
	if s.rcpts {
		return 10_000
	}
	return 1000
}

// start starts a mailweir for the flood.
func (s *scene) start(t *testing.T, binary peer.Mailweir, long, patience string) *weir {
	listener := s.listener
	if listener == "" {
		listener = fmt.Sprintf("timeouts: {command: %[1]s, data_block: %[1]s, tls_handshake: %[1]s}", patience)
	}
	certificate := peer.NewAuthority(t).Server(t, "relay.test.example")
	encrypted := fmt.Sprintf("max_commands: %d, tls: {certificates: [{certificate: %q, key: %q}]}, ", s.commands(), certificate.CertFile, certificate.KeyFile)
	top := s.top
	if top == "" {
		top = "max: 10000"
	}
	settings := strings.NewReplacer("$long", long, "$third", fmt.Sprint(s.Clients/3))
	return newWeir(t, binary, encrypted+settings.Replace(listener), "sessions: {"+settings.Replace(top)+"}\n",
		strings.Replace(encrypted, "tls: {", "tls: {implicit: true, ", 1)+settings.Replace(listener))
}

// judge sees that all went as it should.
func (s *scene) judge(t *testing.T, w *weir, r *flood.Result, failed int, late error) {
	var err error
	if r.Limits, err = w.watch.Limits(); err != nil {
		t.Fatal(err)
	}
	r.Goroutines = w.watch.Goroutines
	if r.RSS, err = w.PeakRSS(); err != nil {
		t.Fatal(err)
	}
	if r.CPU, err = w.CPU(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d connections in %v, %d failed; limits %v; %d messages, %d times deferred, slowest %v; %d KiB, %d goroutines",
		r.Made, r.Took, failed, r.Limits, len(r.Sender.Sent), r.Sender.Deferred, r.Sender.Slowest, r.RSS>>10, r.Goroutines)
	if late != nil {
		t.Error("the flood does not end")
	}
	if failed > 0 {
		t.Errorf("%d connections could not be made", failed)
	}
	w.up.wants(t, r.Sender.Sent)
	log := w.Log()
	for _, reason := range s.wants {
		if r.Limits[reason] == 0 || !strings.Contains(log, fmt.Sprintf(`"filter":"limits","reason":%q`, reason)) {
			t.Errorf("nobody was turned away for %s", reason)
		}
	}
}

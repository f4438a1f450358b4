package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// twoListeners has a chain that answers differently on each.
func twoListeners(upstream, first, second string) string {
	text := "hostname: weir.example\ndrain_timeout: 10s\nlisteners:\n"
	for _, l := range []string{first, second} {
		if l != "" {
			name, address, _ := strings.Cut(l, " ")
			text += fmt.Sprintf("  - {name: %s, address: %q, upstream: {address: %q}}\n", name, address, upstream)
		}
	}
	return text + "chain: [{stamp: {version: a}}]\n"
}

// Listeners come and go; one that is gone lets transactions end.
func TestReloadListeners(t *testing.T) {
	sink := peer.Sink(t)
	const anywhere = "127.0.0.1:0"
	r := serveFile(t, twoListeners(sink.Addr, "a "+anywhere, ""))
	first := r.Addr("a").String()
	idle, busy := peer.Dial(t, first), peer.Dial(t, first)
	busy.Do("250", "EHLO client.test.example")
	busy.Do("250", "MAIL FROM:<a@test.example>")
	busy.Do("250", "RCPT TO:<b@test.example>")

	r.reload(twoListeners(sink.Addr, "a "+anywhere, "b "+anywhere))
	second := r.Addr("b").String()
	client := peer.Dial(t, second)
	client.Do("250", "EHLO client.test.example")

	path := filepath.Join(t.TempDir(), "milter.sock")
	text := twoListeners(sink.Addr, "", "b "+anywhere)
	r.reload(strings.Replace(text, "chain:", fmt.Sprintf("  - {name: mta, address: \"unix:%s\", mode: milter}\nchain:", path), 1))
	idle.Expect("421")
	until(t, "the listener is closed", func() bool {
		conn, err := net.Dial("tcp", first)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if r.Addr("a") != nil {
		t.Error("there is still a listener a")
	}
	busy.Do("354", "DATA")
	busy.Do("250", "Subject: late\r\n\r\nHello\r\n.")
	busy.Expect("421")
	sink.Wait(t, 1, patience)
	post(client, "on the listener that stays")
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}

	r.reload(twoListeners(sink.Addr, "", "renamed "+anywhere))
	if got := r.Addr("renamed").String(); got != second {
		t.Errorf("the listener has moved from %s to %s", second, got)
	}
	post(client, "after the new name")
	until(t, "the socket of the milter is gone", func() bool { _, err := os.Stat(path); return os.IsNotExist(err) })
	client.Do("221", "QUIT")
	until(t, "the former filters are closed", func() bool { return r.live.Load() == 1 })
}

// Shutdown ends those too that a reload has left behind.
func TestReloadThenShutdown(t *testing.T) {
	sink := peer.Sink(t)
	r := serveFile(t, twoListeners(sink.Addr, "a 127.0.0.1:0", "b 127.0.0.1:0"))
	gone, kept := peer.Dial(t, r.Addr("a").String()), peer.Dial(t, r.Addr("b").String())
	gone.Do("250", "EHLO client.test.example")
	gone.Do("250", "MAIL FROM:<a@test.example>")
	r.reload(twoListeners(sink.Addr, "", "b 127.0.0.1:0"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- r.Shutdown(ctx) }()
	kept.Expect("421")
	kept.Close()
	gone.Expect("421")
	gone.Close()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a session was cut off, and the error is %v", err)
	}
	if err := r.Reload(r.load); err == nil {
		t.Error("a server that has ended can be reloaded")
	}
}

// Limits, time-outs and the upstream are those of the new configuration, for
// sessions that begin.
func TestReloadSettings(t *testing.T) {
	one, two := peer.Sink(t), peer.Sink(t)
	text := func(upstream string, max int) string {
		return policy(upstream, max, fmt.Sprintf("sessions: {max: %d}\n", max))
	}
	r := serveFile(t, text(one.Addr, 1))
	at := r.Addr("mx").String()
	old := peer.Dial(t, at)
	old.Do("250", "EHLO client.test.example")
	refused := peer.DialFrom(t, "", at)
	refused.Expect("421")
	r.reload(text(two.Addr, 2))
	fresh := peer.Dial(t, at)
	fresh.Do("250", "EHLO client.test.example")
	post(fresh, "new")
	post(old, "old")
	if got := policies(two.Wait(t, 1, patience)[0]); got != "2 2" {
		t.Error(got)
	}
	if got := policies(one.Wait(t, 1, patience)[0]); got != "1 1" {
		t.Error(got)
	}
	refused = peer.DialFrom(t, "", at)
	refused.Expect("421")
}

// What cannot change is told, each time, and the rest changes.
func TestReloadTellsWhatTakesARestart(t *testing.T) {
	sink := peer.Sink(t)
	r := serveFile(t, policy(sink.Addr, 1, "log: {format: text}\n"))
	text := policy(sink.Addr, 2, fmt.Sprintf("log: {format: json}\ndns: {timeout: 9s}\nadmin: {address: \"127.0.0.1:0\"}\nstate: {entries: 5000, file: %q}\n",
		filepath.Join(t.TempDir(), "state")))
	for range 2 {
		r.log.reset()
		r.reload(text)
		if log := r.log.String(); !strings.Contains(log, `level=WARN msg="some settings have changed that need a restart; the old ones stay in force" `+
			`settings="[log.format dns.timeout state.file state.entries admin.address]"`) {
			t.Error(log)
		}
	}
	client := peer.Dial(t, r.Addr("mx").String())
	client.Do("250", "EHLO client.test.example")
	post(client, "x")
	if got := policies(sink.Wait(t, 1, patience)[0]); got != "2 2" {
		t.Error(got)
	}
	if r.AdminAddr() != nil {
		t.Error("there are metrics")
	}
}

// A list that was set aside stays so, and what the DNS has said is known.
func TestReloadKeepsWhatWasLearnt(t *testing.T) {
	zone := filtertest.NewZone(t, "*.bl.example A 127.0.0.2\n2.0.0.127.good.example A 127.0.0.2\n1.0.0.127.good.example A 127.0.0.2")
	names := peer.Names(t, fromZone(zone))
	sink := peer.Sink(t)
	text := func(zones string, more string) string {
		return policy(sink.Addr, 1, fmt.Sprintf(`  - dnsbl: {zones: [%s], threshold: 1, exempt: []}
    action: enforce
dns: {servers: [%q]}
admin: {address: "127.0.0.1:0"}
`, zones, names.Addr)+more)
	}
	const bl, key = "bl.example", "mailweir_dnsbl_zone_set_aside"
	r := serveFile(t, text(bl, ""))
	at := "http://" + r.AdminAddr().String() + "/metrics"
	aside := func(zone string) string {
		_, metrics := get(t, page(nil), "GET", at)
		return strings.TrimSpace(strings.TrimPrefix(seriesOf(metrics, key+`{zone="`+zone+`"}`), key+`{zone="`+zone+`"}`))
	}
	until(t, "the list that lists the world is set aside", func() bool { return aside(bl) == "1" })
	asked := zone.Asked("2.0.0.127.bl.example", 1)
	visit := func() {
		client := peer.DialFrom(t, "127.0.0.9", r.Addr("mx").String())
		client.Expect("220")
		client.Do("250", "EHLO client.test.example")
		post(client, "x")
		client.Do("221", "QUIT")
	}
	for i := range 3 {
		r.log.reset()
		r.reload(text(bl, fmt.Sprintf("drain_timeout: %ds\n", i+1)))
		visit()
		if log := r.log.String(); strings.Contains(log, "DNSBL") {
			t.Errorf("it is news that the list is set aside: %s", log)
		}
	}
	r.write(text(bl+", nonsense", ""))
	if r.Reload(r.load) == nil {
		t.Error("nonsense is a zone")
	}
	if got := aside(bl); got != "1" {
		t.Errorf("set aside: %s", got)
	}
	if now := zone.Asked("2.0.0.127.bl.example", 1); now != asked {
		t.Errorf("the list was tested %d times again", now-asked)
	}
	if n := zone.Asked("9.0.0.127.bl.example", 1); n > 0 {
		t.Errorf("the list was asked %d times about the client, though it is set aside", n)
	}

	r.reload(text("{zone: bl.example, self_test: false}", ""))
	client := peer.DialFrom(t, "127.0.0.9", r.Addr("mx").String())
	client.Expect("220")
	client.Do("250", "EHLO client.test.example")
	client.Do("250", "MAIL FROM:<a@test.example>")
	client.Do("550", "RCPT TO:<b@test.example>")
	client.Do("221", "QUIT")
	until(t, "another sort of list begins anew", func() bool { return aside(bl) == "0" })
	r.reload(text("good.example", ""))
	until(t, "another list has a health of its own", func() bool { return aside("good.example") == "1" })
	if got := aside(bl); got != "0" {
		t.Errorf("a list that is gone is set aside: %s", got)
	}
}

// No client is refused while a listener changes hands.
func TestReloadRefusesNobody(t *testing.T) {
	sink := peer.Sink(t)
	r := serveFile(t, policy(sink.Addr, 0, ""))
	at := r.Addr("mx").String()
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := greeting(at); err != nil {
				failed <- err
				return
			}
		}
	}()
	for n := range 50 {
		r.reload(policy(sink.Addr, n+1, ""))
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func greeting(at string) error {
	conn, err := net.DialTimeout("tcp", at, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	code := make([]byte, 3)
	if _, err := io.ReadFull(conn, code); err != nil || string(code) != "220" {
		return fmt.Errorf("greeted with %q: %v", code, err)
	}
	return nil
}

// A milter changes over as a relay does.
func TestReloadMilter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "milter.sock")
	text := func(domain, mode string) string {
		return fmt.Sprintf(`hostname: weir.example
listeners: [{name: mta, address: "unix:%s", mode: milter, socket_mode: %q}]
chain: [{stamp: {version: %s}}, {rcpt: {domains: [%[3]s], relay_from: []}}]
`, path, mode, domain)
	}
	r := serveFile(t, text("one.example", "0600"))
	code := func(s *lib.ClientSession) uint16 {
		t.Helper()
		for _, step := range []func() (*lib.Action, error){
			func() (*lib.Action, error) {
				return s.Conn("client.example", lib.FamilyInet, 4711, "198.51.100.7")
			},
			func() (*lib.Action, error) { return s.Helo("helo.example") },
			func() (*lib.Action, error) { return s.Mail("a@test.example", "") },
		} {
			if a, err := step(); err != nil || a.Type != lib.ActionContinue {
				t.Fatalf("%v, %v", a, err)
			}
		}
		a, err := s.Rcpt("b@two.example", "")
		if err != nil {
			t.Fatal(err)
		}
		return a.SMTPCode
	}
	dial := func() *lib.ClientSession {
		t.Helper()
		s, err := lib.NewClient("unix", path).Session(lib.NewMacroBag())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	if got := code(dial()); got != 550 {
		t.Errorf("before: %d", got)
	}
	waiting := dial()
	r.reload(text("two.example", "0666"))
	if got := code(dial()); got != 250 {
		t.Errorf("after: %d", got)
	}
	if got := code(waiting); got != 250 {
		t.Errorf("after, on a connection that had waited: %d", got)
	}
	if log := r.log.String(); !strings.Contains(log, `settings="[listener mta: socket_mode]"`) {
		t.Error(log)
	}
	if n := r.torn.Load(); n != 0 {
		t.Errorf("%d times a message met filters of two configurations", n)
	}
}

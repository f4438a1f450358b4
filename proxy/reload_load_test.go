package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// What a reload under load is held to.
const (
	loadReloads     = 200
	loadBroken      = 5 // each of so many is broken
	loadMessages    = 20_000
	loadPerSession  = 20
	loadConnections = 24
)

// Of 200 configurations that come in force during 20,000 messages, each fifth of
// which is broken, each message is judged by one, and none is lost, sent twice or
// refused; no session breaks. All old filters are gone in the end.
func TestReloadUnderLoad(t *testing.T) {
	messages := loadMessages
	if testing.Short() {
		messages /= 10
	}
	sink := peer.Sink(t)
	r := serveFile(t, policy(sink.Addr, 0, loadLimits))
	at := r.Addr("mx").String()
	var sent atomic.Int64 // messages that were acknowledged
	var next atomic.Int64 // sessions that were begun
	var coming sync.WaitGroup
	failed := make(chan error, loadConnections)
	for range loadConnections {
		coming.Go(func() {
			for n := int(next.Add(1)) - 1; n < messages/loadPerSession; n = int(next.Add(1)) - 1 {
				if err := sendSession(at, n, &sent); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	reloadEvery(r, sink.Addr, messages/loadReloads, &sent, failed)
	coming.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	checkJudged(t, sink.Messages(), messages)
	if n := r.torn.Load(); n != 0 {
		t.Errorf("%d times a message met filters of two configurations", n)
	}
	until(t, "the former filters are closed", func() bool { return r.live.Load() == 2 })
}

const loadLimits = "log: {level: error}\nsessions: {max_per_client: 1000}\n"

// reloadEvery reloads each time that so many messages have been sent.
func reloadEvery(r *reloading, upstream string, every int, sent *atomic.Int64, failed <-chan error) {
	r.Helper()
	for n := 1; n <= loadReloads; n++ {
		for deadline := time.Now().Add(10 * patience); sent.Load() < int64((n-1)*every); time.Sleep(time.Millisecond) {
			if len(failed) > 0 || time.Now().After(deadline) {
				r.Errorf("after %d messages they have come to an end", sent.Load())
				return
			}
		}
		broken := n%loadBroken == 0
		text := policy(upstream, n, loadLimits)
		if broken {
			text = strings.Replace(text, "name: last", "name: first", 1)
		}
		r.write(text)
		if err := r.Reload(r.load); (err != nil) != broken {
			r.Errorf("reload %d: %v", n, err)
		}
	}
}

// sendSession is a session of several messages, each of which must be accepted.
func sendSession(at string, session int, sent *atomic.Int64) error {
	conn, err := net.DialTimeout("tcp", at, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(6 * patience))
	in := bufio.NewReader(conn)
	say := func(text string, codes ...string) error {
		if _, err := io.WriteString(conn, text); err != nil {
			return fmt.Errorf("session %d: %w", session, err)
		}
		for _, code := range codes {
			if err := expectReply(in, code); err != nil {
				return fmt.Errorf("session %d, to %.60q: %w", session, text, err)
			}
		}
		return nil
	}
	if err := say("", "220"); err != nil {
		return err
	}
	if err := say("EHLO client.test.example\r\n", "250"); err != nil {
		return err
	}
	for n := range loadPerSession {
		envelope := fmt.Sprintf("MAIL FROM:<s%d.m%d@test.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\n", session, n)
		if err := say(envelope, "250", "250", "354"); err != nil {
			return err
		}
		if err := say("Subject: x\r\n\r\nHello\r\n.\r\n", "250"); err != nil {
			return err
		}
		sent.Add(1)
	}
	return say("QUIT\r\n", "221")
}

// expectReply reads a reply.
func expectReply(in *bufio.Reader, code string) error {
	for {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return err
		case !strings.HasPrefix(line, code):
			return fmt.Errorf("want %s, got %q", code, line)
		case len(line) > 3 && line[3] == ' ':
			return nil
		}
	}
}

// checkJudged holds that each message has come once, judged by one policy, which
// is that of its session.
func checkJudged(t *testing.T, got []peer.Message, messages int) {
	t.Helper()
	seen := map[string]bool{}
	bySession := map[string]string{}
	versions := map[string]int{}
	for _, m := range got {
		if seen[m.From] {
			t.Errorf("%s has come twice", m.From)
		}
		seen[m.From] = true
		version, again, _ := strings.Cut(policies(m), " ")
		if version == "" || again != version {
			t.Errorf("%s was judged by %q", m.From, policies(m))
		}
		session, _, _ := strings.Cut(m.From, ".")
		if was := bySession[session]; was != "" && was != version {
			t.Errorf("session %s began under policy %s, and had a message judged by %s", session, was, version)
		}
		bySession[session] = version
		versions[version]++
	}
	if len(seen) != messages {
		t.Errorf("%d messages have come, want %d", len(seen), messages)
	}
	for version := range versions {
		var n int
		fmt.Sscan(version, &n)
		if n > 0 && n%loadBroken == 0 {
			t.Errorf("messages were judged by the broken policy %s", version)
		}
	}
	if len(versions) < min(loadReloads/4, len(bySession)/8) {
		t.Errorf("only %d policies were seen", len(versions))
	}
	t.Logf("%d messages by %d policies", len(seen), len(versions))
}

package proxy_test

import (
	"errors"
	"fmt"
	"net/textproto"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Clients send without a pause while one of three upstreams is killed and started
// again, twice. Nothing that was acknowledged is lost or comes twice, and nothing
// is refused for good.
func testFailover(t *testing.T, binary peer.Mailweir) {
	upstreams := keepers(t)
	servers := ""
	for i, postfix := range upstreams {
		servers += fmt.Sprintf("{address: %q, weight: %d}, ", postfix.Addr, 3-i)
	}
	listener := func(balance string) string {
		return fmt.Sprintf("upstream: {servers: [%s], balance: %s, backoff: {first: 100ms, max: 500ms}, health: {interval: 500ms}}", servers, balance)
	}
	relay, doors := served(t, binary, peer.RelayOptions{},
		listener("order"), listener("weight"), listener("least_sessions"), listener("least_sessions, reuse: true"))
	for i, test := range []struct {
		name    string
		victims []int
	}{
		{"order", []int{0, 0}},
		{"weight", []int{0, 1}},
		{"least_sessions", []int{1, 2}},
		{"least_sessions, reuse", []int{0, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			swarm := &swarm{addr: doors[i], name: fmt.Sprintf("m%d", i), ordered: test.name == "order"}
			swarm.start(t)
			for _, victim := range test.victims {
				swarm.goesOn(t, 60)
				back := returns(t, relay, i)
				upstreams[victim].Kill(t)
				swarm.goesOn(t, 60)
				held := len(upstreams[victim].Held(t))
				upstreams[victim].Start(t)
				eventually(t, time.Minute, "return of the upstream", func() bool { return returns(t, relay, i) > back })
				eventually(t, time.Minute, "mail there", func() bool { return len(upstreams[victim].Held(t)) > held })
			}
			swarm.stop(t)
			swarm.settled(t, upstreams, len(test.victims))
		})
	}
	if strings.Contains(relay.Log(), `"level":"ERROR"`) {
		t.Errorf("mailweir's log has errors:\n%s", relay.Log())
	}
}

// keepers are three Postfixes. What they have acknowledged stays in their queues,
// to be counted.
func keepers(t *testing.T) []*peer.PostfixInstance {
	t.Helper()
	var all []*peer.PostfixInstance
	for range 3 {
		all = append(all, peer.Postfix(t, peer.PostfixOptions{
			Main: map[string]string{"smtpd_client_restrictions": "check_client_access static:HOLD"},
		}))
	}
	return all
}

// The servers of an upstream are exchanged while mail comes in. Nobody notices.
func testServersChange(t *testing.T, binary peer.Mailweir) {
	upstreams := keepers(t)
	group := func(members ...int) string {
		var servers []string
		for _, i := range members {
			servers = append(servers, fmt.Sprintf("{address: %q}", upstreams[i].Addr))
		}
		return "servers: [" + strings.Join(servers, ", ") + "], balance: least_sessions"
	}
	now := group(0, 1)
	groups := "upstreams:\n  - {name: inbound, " + now + "}\n  - {name: kept, reuse: true, " + now + "}\n"
	relay, doors := served(t, binary, peer.RelayOptions{Top: groups}, "upstream: inbound", "upstream: kept")
	var swarms []*swarm
	for i, addr := range doors {
		s := &swarm{addr: addr, name: fmt.Sprintf("s%d", i)}
		s.start(t)
		swarms = append(swarms, s)
	}
	for i, members := range [][]int{{0}, {1, 2}, {2}, {0, 2}} {
		next := group(members...)
		relay.Reload(t, now, next)
		now = next
		eventually(t, time.Minute, "reload", func() bool { return len(relay.Records(t, "loaded the configuration again")) > i })
		for _, s := range swarms {
			s.goesOn(t, 40)
		}
	}
	for _, s := range swarms {
		s.stop(t)
		s.settled(t, upstreams, 0)
	}
	inPeace(t, relay.Log())
}

// returns counts how often a server of the upstream of the nth listener has come
// back.
func returns(t *testing.T, relay *peer.Relay, nth int) int {
	t.Helper()
	n := 0
	for _, record := range relay.Records(t, "upstream server is back") {
		if record["upstream"] == "listener "+listenerName(nth) {
			n++
		}
	}
	return n
}

// A swarm of clients sends messages, each until it is taken.
type swarm struct {
	addr, name string
	ordered    bool // the last upstream is for when both others are out

	next, taken, deferred atomic.Int64
	ended                 atomic.Bool
	working               sync.WaitGroup

	mu       sync.Mutex
	attempts map[string]bool // whether each was acknowledged
	stages   map[string]int  // tempfails by what they were an answer to
	faults   []string
}

const swarmSize = 8

func (c *swarm) start(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { c.ended.Store(true); c.working.Wait() })
	c.attempts, c.stages = map[string]bool{}, map[string]int{}
	for range swarmSize {
		c.working.Go(func() {
			for !c.ended.Load() {
				c.bring(c.next.Add(1))
			}
		})
	}
}

// goesOn waits until n more messages were taken.
func (c *swarm) goesOn(t *testing.T, n int64) {
	t.Helper()
	want := c.taken.Load() + n
	eventually(t, time.Minute, "mail", func() bool { return c.taken.Load() >= want })
}

func (c *swarm) stop(t *testing.T) {
	t.Helper()
	c.ended.Store(true)
	c.working.Wait()
	for _, fault := range c.faults {
		t.Error(fault)
	}
}

// bring sends the message until it is acknowledged.
func (c *swarm) bring(n int64) {
	for attempt := 1; ; attempt++ {
		id := fmt.Sprintf("%s-%d-%d", c.name, n, attempt)
		err := c.attempt(id)
		c.mu.Lock()
		c.attempts[id] = err == nil
		c.mu.Unlock()
		var reply *textproto.Error
		switch {
		case err == nil:
			c.taken.Add(1)
			return
		case errors.As(err, &reply) && reply.Code/100 == 4 && attempt < 20:
			c.deferred.Add(1)
			stage, _, _ := strings.Cut(err.Error(), ":")
			c.mu.Lock()
			c.stages[stage]++
			c.mu.Unlock()
		default:
			c.mu.Lock()
			c.faults = append(c.faults, fmt.Sprintf("%s: %v", id, err))
			c.mu.Unlock()
			return
		}
	}
}

// attempt is one session. Its error is a *textproto.Error when there was a reply.
func (c *swarm) attempt(id string) error {
	conn, err := textproto.Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, step := range []struct {
		line string
		code int
	}{
		{"", 220},
		{"EHLO client.test.example", 250},
		{"MAIL FROM:<from@test.example>", 250},
		{"RCPT TO:<to@test.example>", 250},
		{"DATA", 354},
		{"X-Attempt: " + id + "\r\n\r\nbody\r\n.", 250},
	} {
		if step.line != "" {
			conn.PrintfLine("%s", step.line) // if it fails there may be a reply nevertheless
		}
		if _, _, err := conn.ReadResponse(step.code); err != nil {
			stage, _, _ := strings.Cut(step.line, ":")
			stage, _, _ = strings.Cut(stage, " ")
			return fmt.Errorf("%s: %w", stage, err)
		}
	}
	conn.PrintfLine("QUIT") // the message is theirs already
	return nil
}

var attemptField = regexp.MustCompile(`X-Attempt: (\S+?-\d+-\d+)`)

// settled compares what was acknowledged with what the upstreams have.
func (c *swarm) settled(t *testing.T, upstreams []*peer.PostfixInstance, kills int) {
	t.Helper()
	times := map[string]int{}
	var share []int
	for _, postfix := range upstreams {
		own := 0
		for _, message := range postfix.Held(t) {
			id := attemptField.FindStringSubmatch(message)
			if id != nil && strings.HasPrefix(id[1], c.name+"-") {
				times[id[1]]++
				own++
			}
		}
		share = append(share, own)
	}
	unknown := 0 // taken, and not acknowledged: RFC 1047
	for id, acknowledged := range c.attempts {
		switch n := times[id]; {
		case acknowledged && n != 1:
			t.Errorf("%s was acknowledged, and is there %d times", id, n)
		case !acknowledged && n > 1:
			t.Errorf("%s is there %d times", id, n)
		case !acknowledged && n == 1:
			unknown++
		}
	}
	taken, deferred := c.taken.Load(), c.deferred.Load()
	// .ci/failover adds these up.
	t.Logf("swarm | %s | %d | %d | %d | by upstream: %d; refused for now at: %v", path.Base(t.Name()), taken, deferred, unknown, share, c.stages)
	if limit := int64(kills * swarmSize); deferred > limit {
		t.Errorf("%d tempfails: more than the %d sessions that can have been under way", deferred, limit)
	}
	for i, n := range share {
		if n == 0 && (i < 2 || !c.ordered) {
			t.Errorf("upstream %d has had nothing", i)
		}
	}
}

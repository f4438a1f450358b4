package relay_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailweir/mailweir/proxy/relay"
)

// Many clients at once, before two upstreams whose connections go from hand to
// hand: each message arrives once, where it belongs.
func TestCrowd(t *testing.T) {
	const clients, messages = 8, 20
	a := newFake(t, nil)
	b := newFake(t, func(f *fake) { f.lmtp = true })
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, kept)
		o.Routes = []relay.Route{{Domains: []string{"b.example"}, Upstream: g.of("b", b, kept)}}
	})
	var crowd sync.WaitGroup
	for i := range clients {
		crowd.Go(func() {
			for j := range messages {
				r.deliverOne(fmt.Sprintf("<%d.%d@%c.example>", i, j, "ab"[(i+j)%2]))
			}
		})
	}
	crowd.Wait()
	var got []string
	for _, f := range []*fake{a, b} {
		for _, mail := range f.texts() {
			to := strings.TrimSuffix(strings.Fields(mail)[2], ":")
			if !strings.HasSuffix(to, map[*fake]string{a: "a.example>", b: "b.example>"}[f]) || !strings.HasSuffix(mail, ": "+to+"|") {
				t.Errorf("astray: %q", mail)
			}
			got = append(got, to)
		}
	}
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != clients*messages || len(got) != n {
		t.Errorf("%d messages have arrived, %d different ones", len(got), n)
	}
	if n := a.made() + b.made(); n > 2*clients*2 {
		t.Errorf("%d connections were made", n)
	}
}

// deliverOne sends one message in a session of its own.
func (r *rig) deliverOne(to string) {
	c := r.dial()
	defer c.Close()
	lines := []string{"", "EHLO c\r\n", "MAIL FROM:<s@x.example>\r\nRCPT TO:" + to + "\r\nDATA\r\n", to + "\r\n.\r\nQUIT\r\n"}
	for i, replies := range []int{1, 1, 3, 2} {
		if _, err := io.WriteString(c, lines[i]); err != nil {
			r.Error(err)
			return
		}
		for range replies {
			if got := c.reply(); got == "" || got[0] != '2' && got[0] != '3' {
				r.Errorf("%s: to %q the reply is %q", to, lines[i], got)
				return
			}
		}
	}
}

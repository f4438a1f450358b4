package flood_test

import (
	"bufio"
	"io"
	"strings"
	"sync"
	"testing"

	"fmt"
	"github.com/mailweir/mailweir/proxy/internal/flood"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"path/filepath"
)

// lines reads line by line.
type lines struct{ *bufio.Reader }

func newLines(r io.Reader) *lines { return &lines{bufio.NewReader(r)} }

func (l *lines) next() (string, error) { return l.ReadString('\n') }

// GOMEMLIMIT is heeded: with it mailweir gives memory back early while it
// holds messages, and takes all of these.
func TestMemoryLimit(t *testing.T) {
	const limit, clients, each = 48 << 20, 40, 5
	binary := peer.BuildMailweir(t)
	up := newUpstream(t)
	socket := filepath.Join(t.TempDir(), "admin")
	r := wrapped(t, binary, fmt.Sprintf("GOMEMLIMIT=%d exec $BIN \"$@\"", limit)).RelayWith(t, peer.RelayOptions{
		Listener: fmt.Sprintf("upstream: {address: %q}", up.addr),
		Chain:    holding,
		Top:      "admin: {address: \"unix:" + socket + "\"}\n",
	})
	text := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 240) // it is held in memory
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			c := dial(t, r.Addr)
			for m := range each {
				c.wants(message(fmt.Sprint("held-", n, "-", m), text), "250")
			}
		})
	}
	all.Wait()
	for n := range clients {
		up.wants(t, []string{fmt.Sprint("held-", n, "-0"), fmt.Sprint("held-", n, "-", each-1)})
	}
	watch := flood.NewWatch(socket)
	defer watch.Close()
	metrics, err := watch.Look()
	if err != nil {
		t.Fatal(err)
	}
	if got := metrics["go_gc_gomemlimit_bytes"]; got != limit {
		t.Errorf("the limit in force is %v", got)
	}
	peak, err := r.PeakRSS()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages of %d KiB, %d at once, with GOMEMLIMIT=%d MiB: %d MiB at most", clients*each, len(text)>>10, clients, limit>>20, peak>>20)
	if most := int64(limit + 32<<20); peak > most { // and the program's own pages
		t.Errorf("%d MiB were in use, want no more than %d", peak>>20, most>>20)
	}
}

package flood_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/flood"
	"github.com/mailweir/mailweir/proxy/internal/marked"
	"github.com/mailweir/mailweir/proxy/internal/peer"
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

// An idle session costs little memory, all in all: what the process uses more
// when there are many, each with its upstream. FLOOD_FULL=1 is for as many as the
// limit of open files allows, FLOOD_REPORT names the document to write that into.
func TestIdleMemory(t *testing.T) {
	const few, most = 100, 10 << 10
	many := int64(1000)
	if os.Getenv("FLOOD_FULL") != "" {
		many = 9500
	}
	w := newWeir(t, peer.BuildMailweir(t), "", "sessions: {max: 20000, max_per_client: 20000}\n")
	for range few {
		dialIdle(t, w.Addr)
	}
	resident, used := w.memory(t)
	for range many - few {
		dialIdle(t, w.Addr)
	}
	grown, _ := w.RSS()
	residentNow, usedNow := w.memory(t)
	kib := func(of int64) float64 { return float64(of) / float64(many-few) / (1 << 10) }
	text := fmt.Sprintf("Of %d idle sessions, each with an upstream connection, every one takes %.1f KiB for objects and its stack. "+
		"Resident are %.1f KiB, and %.1f before garbage was collected.\n", many, kib(usedNow-used), kib(residentNow-resident), kib(grown-resident))
	t.Log(text)
	if each := (usedNow - used) / (many - few); each > most {
		t.Errorf("an idle session takes %d octets", each)
	}
	if file := os.Getenv("FLOOD_REPORT"); file != "" {
		if err := marked.Rewrite(file, "idle", text); err != nil {
			t.Error(err)
		}
	}
}

// memory returns what is resident, and what objects and stacks take, when garbage
// has been collected.
func (w *weir) memory(t *testing.T) (resident, used int64) {
	t.Helper()
	for range 2 { // pools forget in two steps
		if err := w.watch.Collect(); err != nil {
			t.Fatal(err)
		}
	}
	metrics, err := w.watch.Look()
	if err != nil {
		t.Fatal(err)
	}
	if resident, err = w.RSS(); err != nil {
		t.Fatal(err)
	}
	return resident, int64(metrics["go_memstats_heap_alloc_bytes"] + metrics["go_memstats_stack_inuse_bytes"])
}

// dialIdle is dial without a buffer that is kept.
func dialIdle(t *testing.T, addr string) { dial(t, addr).in = nil }

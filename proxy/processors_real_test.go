package proxy_test

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Half of the processors are used, or as many as are configured.
func testProcessors(t *testing.T, binary peer.Mailweir) {
	set := os.Getenv("GOMAXPROCS") // goes before the configuration
	for top, want := range map[string]int{
		"":              (runtime.GOMAXPROCS(0) + 1) / 2,
		"processors: 3": 3,
	} {
		relay := binary.RelayWith(t, peer.RelayOptions{Listener: "{upstream: {address: \"127.0.0.1:9\"}}", Top: top})
		eventually(t, time.Minute, "the record of the start", func() bool { return len(relay.Records(t, "serving")) == 1 })
		if got := relay.Records(t, "serving")[0]["processors"]; fmt.Sprint(got) != cmp.Or(set, fmt.Sprint(want)) {
			t.Errorf("with %q, and %q in the environment, %v processors are used, want %d", top, set, got, want)
		}
	}
}

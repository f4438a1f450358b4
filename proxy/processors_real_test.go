package proxy_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Half of the processors are used, or as many as are configured.
func testProcessors(t *testing.T, binary peer.Mailweir) {
	if os.Getenv("GOMAXPROCS") != "" {
		t.Skip("GOMAXPROCS is set, which goes before the configuration")
	}
	for top, want := range map[string]int{
		"":              (runtime.GOMAXPROCS(0) + 1) / 2,
		"processors: 3": 3,
	} {
		relay := binary.RelayWith(t, peer.RelayOptions{Listener: "{upstream: {address: \"127.0.0.1:9\"}}", Top: top})
		eventually(t, time.Minute, "the record of the start", func() bool { return len(relay.Records(t, "serving")) == 1 })
		if got := relay.Records(t, "serving")[0]["processors"]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with %q %v processors are used, want %d", top, got, want)
		}
	}
}

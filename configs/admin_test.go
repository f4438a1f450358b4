package configs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

// An address without a host is on loopback, and profiles that others can take
// are worth a warning.
func TestAdmin(t *testing.T) {
	for admin, want := range map[string]struct{ at, warning string }{
		`{}`:                                            {"", ""},
		`{address: ":9025"}`:                            {"127.0.0.1:9025", ""},
		`{address: "0.0.0.0:9025"}`:                     {"0.0.0.0:9025", ""},
		`{address: ":9025", pprof: true}`:               {"127.0.0.1:9025", ""},
		`{address: "[::1]:9025", pprof: true}`:          {"[::1]:9025", ""},
		`{address: "localhost:9025", pprof: true}`:      {"localhost:9025", ""},
		`{address: "unix:/run/m/admin", pprof: true}`:   {"unix:/run/m/admin", ""},
		`{pprof: true}`:                                 {"", "2:16: nothing is served without admin.address"},
		`{pprof: true, address: "192.0.2.1:9025"}`:      {"192.0.2.1:9025", "2:16: whoever can connect to 192.0.2.1:9025 can have the program profiled"},
		`{pprof: true, address: "mx.example.com:9025"}`: {"mx.example.com:9025", "2:16: whoever can connect to mx.example.com:9025"},
		`{pprof: true, address: "[::]:9025"}`:           {"[::]:9025", "2:16: whoever can connect to [::]:9025"},
	} {
		c, err := configs.Parse(standard.Kinds(), "mx.yaml", fmt.Appendf(nil,
			"listeners: [{name: mx, address: \":25\", upstream: {address: \"127.0.0.1:10025\"}}]\nadmin: %s\n", admin))
		if err != nil {
			t.Errorf("%s: %v", admin, err)
			continue
		}
		warning := strings.TrimPrefix(strings.Join(c.Warnings, "\n"), "mx.yaml:")
		if c.Admin.At() != want.at || (warning == "") != (want.warning == "") || !strings.HasPrefix(warning, want.warning) {
			t.Errorf("%s: at %q, warning %q; want %q, %q", admin, c.Admin.At(), warning, want.at, want.warning)
		}
	}
}

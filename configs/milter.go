package configs

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// Milter is what a listener of mode milter has besides its socket.
type Milter struct {
	MaxConnections int            `yaml:"max_connections" min:"1" max:"1000000" doc:"most connections of MTAs at once, which is one for each SMTP session; those beyond are closed"`
	MaxPacket      filters.Bytes  `yaml:"max_packet" doc:"greatest packet of the milter protocol, at least 64KiB"`
	Timeouts       MilterTimeouts `yaml:"timeouts" doc:"how long to wait"`
}

// MilterTimeouts is how long to wait for the MTA.
type MilterTimeouts struct {
	Idle     time.Duration `yaml:"idle" min:"1s" doc:"the MTA's next packet: more than the MTA waits for its SMTP client, which is 5m in Postfix and 1h in Sendmail"`
	Packet   time.Duration `yaml:"packet" min:"1s" doc:"the rest of a packet, and the first packet"`
	Write    time.Duration `yaml:"write" min:"1s" doc:"the MTA to take what we say"`
	Progress time.Duration `yaml:"progress" min:"100ms" doc:"between signs of life while a message is judged: less than the MTA waits for an answer, which is 10s in Sendmail"`
	Drain    time.Duration `yaml:"drain" min:"0s" doc:"on the order to stop, how long to keep SMTP sessions that are between messages; their MTA then does what it does without its milter"`
}

func milterDefaults() Milter {
	return Milter{
		MaxConnections: 500,
		MaxPacket:      1 << 20,
		Timeouts: MilterTimeouts{
			Idle:     2 * time.Hour,
			Packet:   30 * time.Second,
			Write:    10 * time.Second,
			Progress: 5 * time.Second,
			Drain:    2 * time.Second,
		},
	}
}

// minPacket is what MTAs send without being asked.
const minPacket = 64 << 10

// Check holds max_packet to what it must be.
func (m *Milter) Check(r *strict.Report) {
	if m.MaxPacket < minPacket || m.MaxPacket > 1<<30 {
		r.Problem("max_packet", "want 64KiB to 1GiB, got "+m.MaxPacket.String(), "")
	}
}

// Permissions are those of a file.
type Permissions fs.FileMode

// MarshalText spells the permissions in octal digits.
func (p Permissions) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(p)), nil }

// UnmarshalText reads octal digits.
func (p *Permissions) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(text), "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("want permissions in octal digits such as 0660, got %q", text)
	}
	*p = Permissions(n)
	return nil
}

// ofRelay are the settings that mean nothing to a milter.
var ofRelay = []string{"upstream", "routes", "tls", "proxy_protocol_from", "xclient_from", "auth", "bare_newline", "nul", "relay_verbs", "pass_keywords", "errors", "command_line", "timeouts"}

// isMilterAddress reports whether a text names a socket for MTAs.
func isMilterAddress(s string) bool {
	family, _, _ := strings.Cut(s, ":")
	return family == "unix" || family == "inet" || family == "inet6"
}

// checkMode holds a listener to what its mode needs.
func (l *Listener) checkMode(r *strict.Report) {
	switch {
	case l.Mode == MTA:
		l.checkMilter(r)
		return
	case !r.Given("upstream"):
		r.Missing("upstream", "the MTA behind this listener")
	}
	if isMilterAddress(l.Address) {
		r.Problem("address", "a relay listens on host:port", "for a socket that an MTA asks, add mode: milter")
	}
}

func (l *Listener) checkMilter(r *strict.Report) {
	for _, key := range ofRelay {
		if r.Given(key) {
			r.Problem(key, "has no place in mode milter", "leave it out: the MTA that asks has its own")
		}
	}
	if l.Address != "" && !isMilterAddress(l.Address) {
		r.Problem("address", "a milter listens on unix:/path, inet:host:port or inet6:host:port", "write inet:"+l.Address)
	}
}

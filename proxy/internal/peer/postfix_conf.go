package peer

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// mainCF is a Postfix that knows no DNS and no users, refuses nobody on
// loopback, and adds to a message nothing but a Received field.
const mainCF = `compatibility_level = 3.6
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
queue_directory = %[1]s/queue
data_directory = %[1]s/data
myhostname = mx.test.example
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:no local delivery
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtputf8_enable = no
message_size_limit = 0
header_size_limit = 10240000
local_header_rewrite_clients =
always_add_missing_headers = no
smtp_line_length_limit = 0
smtp_connection_cache_on_demand = no
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_soft_error_limit = 1000
`

// masterCF is mainCF's table of programs.
const masterCF = `%s inet n - n - %s
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// configure writes main.cf and master.cf.
func (p *PostfixInstance) configure(t testing.TB, o PostfixOptions) {
	t.Helper()
	old := time.Now().Add(-time.Minute)
	for name, text := range map[string]string{
		"main.cf":   p.mainCF(t, o),
		"master.cf": p.services(o) + fmt.Sprintf(masterCF, o.place(p.Addr), o.front()), // Addr is the last to listen
	} {
		file := p.path("conf", name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		// Postfix waits for a file to be older than a second.
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

// mainCF returns main.cf. It says nothing twice: every program of Postfix would
// warn of it, before the one that takes warnings does so.
func (p *PostfixInstance) mainCF(t testing.TB, o PostfixOptions) string {
	t.Helper()
	settings := Settings(o.relayhost(t), o.milter(), o.tls(), o.logins(), o.everywhere(), o.Main)
	var main strings.Builder
	for line := range strings.Lines(fmt.Sprintf(mainCF, p.dir)) {
		name, _, _ := strings.Cut(line, " =")
		if _, set := settings[name]; !set {
			main.WriteString(line)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&main, "%s = %s\n", name, settings[name])
	}
	return main.String()
}

// front is who takes mail first, in master.cf.
func (o PostfixOptions) front() string {
	if o.Screen {
		return "1 postscreen\nsmtpd pass - - n - - smtpd"
	}
	return "- smtpd"
}

// services are the lines of master.cf for o.Services.
func (p *PostfixInstance) services(o PostfixOptions) string {
	var lines strings.Builder
	for i, settings := range o.Services {
		fmt.Fprintf(&lines, "%s inet n - n - - smtpd\n", o.place(p.Services[i]))
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			fmt.Fprintf(&lines, "  -o { %s = %s }\n", name, settings[name])
		}
	}
	return lines.String()
}

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailweir/mailweir/filters/zone"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mailweir": main})
}

// TestScripts runs the command line as users type it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "nameserver": nameserver, "mask": mask, "mta": mta},
	})
}

// exits is the script command "exits CODE PROGRAM ARG...": it runs the program
// and holds it to that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// mask is the script command "mask FILE": it makes times and ids in what try and
// test have printed the same each time.
func mask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mask FILE")
	}
	text := ts.ReadFile(args[0])
	for _, m := range masks {
		text = m.changing.ReplaceAllString(text, m.same)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

var masks = []struct {
	changing *regexp.Regexp
	same     string
}{
	{regexp.MustCompile(` +[0-9.]+[µm]?s  `), "  TIME  "},
	{regexp.MustCompile(`"seconds": [0-9.e-]+`), `"seconds": 0`},
	{regexp.MustCompile(`\(id [0-9a-z]+`), "(id ID"},
	{regexp.MustCompile(`\([0-9.]+s\)`), "(TIME)"},
	{regexp.MustCompile(`"elapsed":[0-9.e-]+`), `"elapsed":0`},
	{regexp.MustCompile(`(?m)^((?:ok|FAIL) .*)  [0-9.]+s`), "$1  TIME"},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// nameserver is the script command "nameserver FILE CONFIG": it serves the zone
// of the file until the script ends, and puts its address in place of NAMESERVER
// in the configuration.
func nameserver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nameserver FILE CONFIG")
	}
	names := zone.New()
	ts.Check(names.Add(ts.ReadFile(args[0])))
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	started := make(chan struct{})
	server := &dns.Server{
		PacketConn:        socket,
		NotifyStartedFunc: func() { close(started) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if reply := names.Reply(context.Background(), q); reply != nil {
				w.WriteMsg(reply)
			}
		}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	<-started
	ts.Defer(func() {
		server.Shutdown()
		<-ended
	})
	config := strings.ReplaceAll(ts.ReadFile(args[1]), "NAMESERVER", socket.LocalAddr().String())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(config), 0o644))
}

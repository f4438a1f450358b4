package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	harness "github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

var milterWorkloads = []workload{
	{name: "Milter, a connection for each message", messages: 2_000, octets: 4 << 10, sessions: 10},
	{name: "Milter, kept connections", messages: 2_000, octets: 4 << 10, sessions: 10, keep: true},
}

// An mta is a Postfix that discards what it has accepted, and the milter that
// it asks.
type mta struct {
	name    string
	postfix *harness.PostfixInstance
	master  *proc.Process
	milter  *runner // nil for none
}

// noMilter names the mta that the others are compared with.
const noMilter = "no milter"

// measureMilters returns, as tables, what Postfix costs with milters and
// without.
func (f *field) measureMilters(ctx context.Context, rounds int, scale float64) (string, error) {
	h := &hold{}
	defer h.end()
	mtas, err := f.startMTAs(h)
	if errors.Is(err, errNotInstalled) {
		fmt.Fprintf(os.Stderr, "milters: %v: not measured\n", err)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	report, sent := "", 0
	for _, w := range milterWorkloads {
		w = w.scaled(scale)
		results, err := measure(ctx, f.source, w, rounds, mtas)
		if err != nil {
			return "", fmt.Errorf("%s: %w", w.name, err)
		}
		sent += w.messages * (rounds + 1)
		report += milterTable(w, mtas, results, rounds)
	}
	return report, mtas[len(mtas)-1].milter.checkLog(sent)
}

// startMTAs starts the milters, and a Postfix for each of them and for none.
// mailweir's is the last.
func (f *field) startMTAs(h *hold) ([]*mta, error) {
	ours, err := f.startMilter(h, peer{name: ourName, configure: mailweirMilter}, f.ours().file)
	if err != nil {
		return nil, err
	}
	protocol, err := askedBy(ours.addr)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	idle, err := f.startMilter(h, nothing(protocol), self)
	if err != nil {
		return nil, err
	}
	mtas := []*mta{{name: noMilter}, {name: "a milter that does nothing", milter: idle}, {name: ourName, milter: ours}}
	for _, m := range mtas {
		if err := m.start(h); err != nil {
			return nil, err
		}
	}
	return mtas, nil
}

// startMilter starts a milter at a Unix socket.
func (f *field) startMilter(h *hold, p peer, file string) (*runner, error) {
	var path string
	if err := try(func() { path = harness.SocketPath(h) }); err != nil {
		return nil, err
	}
	r, err := p.runAt(path, file, f.dir, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	h.Cleanup(r.stop)
	return r, nil
}

// mailweirMilterConfig has the default of everything else.
const mailweirMilterConfig = `hostname: milter.test.example
log: {level: info, format: json}
listeners:
  - {name: mta, mode: milter, address: "unix:%s", socket_group: postfix}
` + shortChain

func mailweirMilter(file, addr, _ string) ([]string, error) {
	text := fmt.Sprintf(mailweirMilterConfig, addr)
	return []string{"serve", "--config", file}, os.WriteFile(file, []byte(text), 0o644)
}

// start starts the Postfix. Without its milter it would refuse mail.
func (m *mta) start(h *hold) error {
	options := harness.PostfixOptions{Default: "tempfail"}
	if m.milter != nil {
		options.Milter = "unix:" + m.milter.addr
	}
	if err := try(func() { m.postfix = harness.Postfix(h, options) }); err != nil {
		return err
	}
	var err error
	m.master, err = masterOf(m.postfix)
	return err
}

// masterOf returns the program whose process group is all of Postfix.
func masterOf(p *harness.PostfixInstance) (*proc.Process, error) {
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if found := masterStarted.FindStringSubmatch(p.Log()); found != nil {
			pid, err := strconv.Atoi(found[1])
			return &proc.Process{PID: pid}, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.New("no start in the log of Postfix")
}

// masterStarted finds the PID of that program.
var masterStarted = regexp.MustCompile(`postfix/master\[([0-9]+)\]: daemon started`)

func (m *mta) title() string { return m.name }

func (m *mta) measure(ctx context.Context, source string, w workload) (result, error) {
	postfix, milter, err := m.cpu()
	if err != nil {
		return result{}, err
	}
	took, err := w.send(ctx, source, m.postfix.Addr)
	if err != nil {
		return result{}, err
	}
	if err := try(func() { m.postfix.Settle(&hold{}, runTimeout) }); err != nil {
		return result{}, err
	}
	time.Sleep(settling)
	postfixAfter, milterAfter, err := m.cpu()
	own := milterAfter - milter
	return result{took: took, cpu: postfixAfter - postfix + own, own: own}, err
}

// cpu returns the processor time that Postfix and the milter have used so far.
func (m *mta) cpu() (postfix, milter time.Duration, err error) {
	if m.milter != nil {
		if milter, err = m.milter.cpu(); err != nil {
			return 0, 0, err
		}
	}
	postfix, err = m.master.CPU()
	return postfix, milter, err
}

// milterTable returns, and prints, the results of a workload.
func milterTable(w workload, mtas []*mta, results map[string][]result, rounds int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n### %s\n\n%s; with %s; median of %d rounds (least to most).\n\n", w.name, w, library(), rounds)
	fmt.Fprintf(&text, "| Postfix with | messages/s | CPU per message, µs | the milter's part, µs | CPU beside %s |\n"+
		"| --- | ---: | ---: | ---: | ---: |\n", noMilter)
	n := float64(w.messages)
	for _, m := range mtas {
		rs := results[m.name]
		own := " "
		if m.milter != nil {
			own = " " + spread(rs, 0, func(r result) float64 { return r.own.Seconds() * 1e6 / n }) + " "
		}
		fmt.Fprintf(&text, "| %s | %s | %s |%s| %s |\n", m.name,
			spread(rs, 0, func(r result) float64 { return n / r.took.Seconds() }),
			spread(rs, 0, func(r result) float64 { return r.cpu.Seconds() * 1e6 / n }), own,
			beside(rs, results[noMilter]))
	}
	fmt.Print(text.String())
	return text.String()
}

// library tells which milter library this program was built with.
func library() string {
	const path = "github.com/d--j/go-milter"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return "go-milter " + m.Version
			}
		}
	}
	return "go-milter"
}

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	knownSessions = 3000
	knownZones    = 8
)

// measureKnown returns, as a table, what the tests at the gate cost a client
// that has been there before. The two chains take turns, a session each.
func (f *field) measureKnown(ctx context.Context, scale float64) (string, error) {
	h := &hold{}
	defer h.end()
	names, err := startNames(h, knownZones)
	if err != nil {
		return "", err
	}
	var gates []*runner
	for _, p := range []peer{
		{name: "the short chain", configure: mailweir},
		{name: "pregreet, dnsbl, rdns and sender too", configure: names.gate},
	} {
		r, err := p.run(f.ours().file, f.dir, f.sink.addr)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
		h.Cleanup(r.stop)
		gates = append(gates, r)
	}
	sessions := max(100, int(knownSessions*scale))
	times := make([][]time.Duration, len(gates))
	for n := range sessions + warmUp {
		for turn := range gates {
			i := (turn + n) % len(gates)
			took, err := session(ctx, clientAddress, gates[i].addr)
			if err != nil {
				return "", fmt.Errorf("%s: %w", gates[i].name, err)
			}
			if n >= warmUp {
				times[i] = append(times[i], took)
			}
		}
		if n == warmUp-1 {
			names.asked.Store(0)
		}
	}
	if n := names.asked.Load(); n > 0 {
		return "", fmt.Errorf("the DNS was asked %d questions about a known client", n)
	}
	return knownTable(gates, times), gates[1].checkLog(sessions + warmUp)
}

// warmUp is how many sessions make a client known.
const warmUp = 50

func knownTable(gates []*runner, times [][]time.Duration) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n### Known client, %d zones\n\nTime from the connection to the reply to QUIT, of %d sessions with one message of %d octets each, "+
		"one after the other; the two take turns after each session.\n\n", knownZones, len(times[0]), latencyOctets)
	text.WriteString("| mailweir with | median, µs | 99th percentile, µs | added: median | 99th percentile |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, took := range times {
		slices.Sort(took)
	}
	for i, gate := range gates {
		half, most := quantile(times[i], 50), quantile(times[i], 99)
		fmt.Fprintf(&text, "| %s | %d | %d |", gate.name, half.Microseconds(), most.Microseconds())
		if i == 0 {
			text.WriteString(" | |\n")
			continue
		}
		fmt.Fprintf(&text, " %d | %d |\n", (half - quantile(times[0], 50)).Microseconds(), (most - quantile(times[0], 99)).Microseconds())
	}
	fmt.Print(text.String())
	return text.String()
}

// gate configures mailweir with all tests at the gate, of a client on loopback
// too, in front of the short chain.
func (n *names) gate(file, addr, upstream string) ([]string, error) {
	text := fmt.Sprintf(mailweirConfig, adminOf(file), addr, upstream, false) + shortChain
	text += fmt.Sprintf(gateEntries, zones(knownZones)) + fmt.Sprintf("dns: {servers: [%q]}\n", n.Addr)
	return []string{"serve", "--config", file}, os.WriteFile(file, []byte(text), 0o644)
}

// gateEntries are more entries of the chain.
const gateEntries = `  - pregreet: {wait: 100ms, exempt: []}
    action: enforce
  - dnsbl: {zones: [%s], exempt: [], threshold: 1}
    action: enforce
  - rdns: {exempt: []}
    action: enforce
  - sender: {exempt: []}
    action: enforce
`

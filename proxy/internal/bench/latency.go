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
	latencyMessages = 2000
	latencyBlock    = 20 // messages, before it is the next peer's turn
	latencyOctets   = 4 << 10
)

// A step is a command, or a text, and the code of the reply to it.
type step struct {
	name string
	say  []byte
	want int
}

// dialogue is what passes for one message. EHLO may be said again at any time
// (RFC 5321 section 4.1.4).
var dialogue = []step{
	{"EHLO", []byte("EHLO client.test.example\r\n"), 250},
	{"MAIL", []byte("MAIL FROM:<a@client.test.example>\r\n"), 250},
	{"RCPT", []byte("RCPT TO:<b@test.example>\r\n"), 250},
	{"DATA", []byte("DATA\r\n"), 354},
	{"text", []byte("Subject: a test\r\n\r\n" + strings.Repeat(strings.Repeat("x", 62)+"\r\n", latencyOctets/64) + ".\r\n"), 250},
}

// firstOfMessage is where in the dialogue the message begins.
const firstOfMessage = 1

// A delay is how long a peer's client waits.
type delay struct {
	*runner
	client  *client
	steps   [][]time.Duration // by the steps of the dialogue
	message []time.Duration   // from MAIL to the last reply
}

// measureLatency returns, as tables, how long one message takes and each of its
// commands, sent by one client that is alone and keeps its connection.
func (f *field) measureLatency(ctx context.Context, scale float64) (string, error) {
	blocks := max(1, int(latencyMessages*scale)/latencyBlock)
	asked := f.names.asked.Load()
	var delays []*delay
	for _, r := range f.among(inLatency) {
		c, err := dial(ctx, "", r.addr)
		if err != nil {
			return "", fmt.Errorf("%s: %w", r.name, err)
		}
		defer c.Close()
		delays = append(delays, &delay{runner: r, client: c, steps: make([][]time.Duration, len(dialogue))})
	}
	for block := range blocks + 1 { // the first one only warms up
		for turn := range delays {
			d := delays[(turn+block)%len(delays)]
			if d.share > 0 && block%int(1/d.share) != 0 && block != 1 {
				continue
			}
			if err := d.sendBlock(block > 0); err != nil {
				return "", fmt.Errorf("%s: %w", d.name, err)
			}
		}
	}
	fmt.Fprintln(os.Stderr, "latency: done")
	for _, d := range delays {
		slices.Sort(d.message)
		for _, took := range d.steps {
			slices.Sort(took)
		}
	}
	return latencyTable(delays) + commandTables(delays), f.stillWarm(asked)
}

// sendBlock sends some messages, and keeps how long they took if they count.
func (d *delay) sendBlock(counts bool) error {
	d.client.conn.SetDeadline(time.Now().Add(runTimeout))
	for range latencyBlock {
		took, err := d.client.send()
		if err != nil {
			return err
		}
		d.sent++
		if !counts {
			continue
		}
		var message time.Duration
		for i, t := range took {
			d.steps[i] = append(d.steps[i], t)
			if i >= firstOfMessage {
				message += t
			}
		}
		d.message = append(d.message, message)
	}
	return nil
}

func latencyTable(delays []*delay) string {
	var text strings.Builder
	direct := delays[0].message // the first peer has no program
	fmt.Fprintf(&text, "\n### Latency\n\nTime from MAIL to the reply to the final dot, of messages of %d octets, one after the other "+
		"on one connection, without pipelining; the peers take turns every %d messages.\n\n", latencyOctets, latencyBlock)
	text.WriteString("| | messages | median, µs | 99th percentile, µs | added to direct: median | 99th percentile |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for i, d := range delays {
		half, most := quantile(d.message, 50), quantile(d.message, 99)
		fmt.Fprintf(&text, "| %s | %d | %d | %d |", d.name, len(d.message), half.Microseconds(), most.Microseconds())
		if i == 0 {
			text.WriteString(" | |\n")
			continue
		}
		fmt.Fprintf(&text, " %d | %d |\n", (half - quantile(direct, 50)).Microseconds(), (most - quantile(direct, 99)).Microseconds())
	}
	fmt.Print(text.String())
	return text.String()
}

// commandTables returns, and prints, what the peers add to each command.
func commandTables(delays []*delay) string {
	var text strings.Builder
	text.WriteString("\n### Latency of commands\n\nTime from a command to its reply, in the same dialogues, each of which begins with EHLO; " +
		"text is that from the text to the reply to its final dot. What is added to direct, beside what " + baseline + " adds.\n")
	for _, percent := range []int{50, 99} {
		title := "median, µs"
		if percent != 50 {
			title = fmt.Sprintf("%dth percentile, µs", percent)
		}
		text.WriteString("\n| " + title + " |")
		for _, s := range dialogue {
			text.WriteString(" " + s.name + " |")
		}
		text.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(dialogue)) + "\n")
		for _, d := range delays {
			text.WriteString(d.commandRow(delays, percent))
		}
	}
	fmt.Print(text.String())
	return text.String()
}

// commandRow has the time of a peer's commands: all of it for direct, which is
// the first of all, and for the others what they add.
func (d *delay) commandRow(all []*delay, percent int) string {
	direct := all[0]
	base := slices.IndexFunc(all, func(d *delay) bool { return d.name == baseline })
	row := "| " + d.name
	if d != direct {
		row += ", added"
	}
	for i := range dialogue {
		if d == direct {
			row += fmt.Sprintf(" | %d", quantile(d.steps[i], percent).Microseconds())
			continue
		}
		zero := quantile(direct.steps[i], percent)
		added := quantile(d.steps[i], percent) - zero
		row += fmt.Sprintf(" | %d", added.Microseconds())
		if base < 0 {
			continue
		}
		if least := quantile(all[base].steps[i], percent) - zero; least > 0 && added > 0 { // else it is noise
			row += fmt.Sprintf(" (%.1f)", added.Seconds()/least.Seconds())
		}
	}
	return row + " |\n"
}

// quantile returns the value below which percent of the sorted values lie.
func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[len(sorted)*percent/100]
}

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// profiled is for how long mailweir is looked at in each workload.
const profiled = 10 * time.Second

// An errand is what time is spent in. A stack belongs to the first of the list that
// one of its calls matches.
type errand struct {
	name string
	in   *regexp.Regexp
}

// errands end with what is none of the others.
var errands = []errand{
	{"the log's records, with their writes", regexp.MustCompile(`^log/slog\.`)},
	{"the chain: filters, rules, their counters", regexp.MustCompile(`mailweir/(filters|rules)[./]`)},
	{"to open and to close connections", regexp.MustCompile(`^net\.(newFD|\(\*(sysDialer|Dialer|TCPListener)\)|\(\*(conn|netFD)\)\.(Close|accept|dial|connect))|upstream\.\(\*opening\)|door\.(Accept|Sift)`)},
	{"to send", regexp.MustCompile(`internal/peek\.send$`)},
	{"to receive, and to look", regexp.MustCompile(`internal/peek\.recv$`)},
	{"Go's scheduler", regexp.MustCompile(`^runtime\.(mcall|mstart|schedule|findRunnable|gopark|goready|ready|sysmon|park_m|netpoll.*)`)},
	{"Go's garbage collector", regexp.MustCompile(`^runtime\.(gcBgMarkWorker|bgsweep|bgscavenge|gcAssist.*)`)},
	{"commands, replies and texts", regexp.MustCompile(``)},
}

// measureProfile returns, as a table, what mailweir spends its time in.
func (f *field) measureProfile(ctx context.Context) (string, error) {
	var shares [][]float64
	kinds := workloads[:2]
	for _, w := range kinds {
		p, err := f.profile(ctx, w)
		if err != nil {
			return "", fmt.Errorf("%s: %w", w.name, err)
		}
		shares = append(shares, sharesOf(p))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n### Shares of the processor\n\nShares of mailweir's processor time, of a profile of %s each.\n\n| |", profiled)
	for _, w := range kinds {
		fmt.Fprintf(&text, " %s |", strings.ToLower(w.name[:1])+w.name[1:])
	}
	text.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(kinds)) + "\n")
	for i, e := range errands {
		fmt.Fprintf(&text, "| %s |", e.name)
		for _, share := range shares {
			fmt.Fprintf(&text, " %.0f %% |", 100*share[i])
		}
		text.WriteString("\n")
	}
	fmt.Print(text.String())
	return text.String(), nil
}

// profile looks at mailweir while it has that to do.
func (f *field) profile(ctx context.Context, w workload) (*profile.Profile, error) {
	r := f.ours()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := w.send(context.WithoutCancel(ctx), f.source, r.addr); err != nil {
				sent <- err
				return
			}
			r.sent += w.messages
		}
		sent <- nil
	}()
	p, err := fetchProfile(ctx, adminOf(r.log))
	cancel()
	if failed := <-sent; err == nil {
		err = failed
	}
	return p, err
}

// fetchProfile has the mailweir at whose socket that is look at itself.
func fetchProfile(ctx context.Context, socket string) (*profile.Profile, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	url := fmt.Sprintf("http://mailweir/debug/pprof/profile?seconds=%.0f", profiled.Seconds())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("no profile: %s", response.Status)
	}
	return profile.Parse(response.Body)
}

// sharesOf returns which share of the time each errand has.
func sharesOf(p *profile.Profile) []float64 {
	shares := make([]float64, len(errands))
	all := 0.0
	for _, s := range p.Sample {
		took := float64(s.Value[len(s.Value)-1])
		shares[errandOf(s)] += took
		all += took
	}
	for i := range shares {
		shares[i] /= all
	}
	return shares
}

// errandOf returns what the stack is about.
func errandOf(s *profile.Sample) int {
	for i, e := range errands {
		for _, at := range s.Location {
			for _, line := range at.Line {
				if e.in.MatchString(line.Function.Name) {
					return i
				}
			}
		}
	}
	return len(errands) - 1
}

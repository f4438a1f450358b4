package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A field is the peers, all running, and the sink behind them.
type field struct {
	dir     string
	source  string // the program that sends
	sink    *runner
	names   *names // what DNS lists say
	guide   *guide
	runners []*runner
	absent  []string // peers that are not installed
	hold    hold
}

// newField starts all that is installed.
func newField(ctx context.Context) (_ *field, err error) {
	f := &field{}
	if f.source, err = installed("smtp-source")(ctx, ""); err != nil {
		return nil, fmt.Errorf("%w (Debian package postfix)", err)
	}
	if f.dir, err = os.MkdirTemp("", "mailweir-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.sink, err = sink.prepare(ctx, f.dir, ""); err != nil {
		return nil, err
	}
	if f.names, err = startNames(&f.hold, max(fullZones, knownZones)); err != nil {
		return nil, err
	}
	if f.guide, err = startGuide(); err != nil {
		return nil, err
	}
	for _, p := range peers(f.names, f.guide) {
		if err = f.start(ctx, p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return f, f.warm(ctx)
}

// start starts a peer, if it is installed.
func (f *field) start(ctx context.Context, p peer) error {
	r, err := p.prepare(ctx, f.dir, f.sink.addr)
	if errors.Is(err, errNotInstalled) {
		fmt.Fprintf(os.Stderr, "%v: not measured\n", err)
		f.absent = append(f.absent, p.name)
		return nil
	}
	if err == nil {
		f.runners = append(f.runners, r)
	}
	return err
}

// warm lets mailweir learn what DNS lists say of the client.
func (f *field) warm(ctx context.Context) error {
	for _, r := range f.runners {
		if !r.isMailweir() {
			continue
		}
		for range warmUp {
			if _, err := session(ctx, "", r.addr); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			r.sent++
		}
	}
	return nil
}

// stillWarm wants no question to the DNS since there were so many.
func (f *field) stillWarm(asked int64) error {
	if n := f.names.asked.Load() - asked; n > 0 {
		return fmt.Errorf("the DNS was asked %d questions about a known client", n)
	}
	return nil
}

// check holds mailweir to its work: it has taken all messages.
func (f *field) check() error {
	for _, r := range f.runners {
		if !r.isMailweir() {
			continue
		}
		if err := r.checkLog(r.sent); err != nil {
			return err
		}
	}
	return nil
}

// among returns the peers that are measured there.
func (f *field) among(p place) []*runner {
	return slices.DeleteFunc(slices.Clone(f.runners), func(r *runner) bool { return r.in&p == 0 })
}

// sink takes all mail and forgets it.
var sink = peer{
	name:    "smtp-sink",
	program: installed("smtp-sink"),
	configure: func(_, addr, _ string) ([]string, error) {
		args := []string{"-m", "4000", addr, "1024"}
		if os.Getuid() == 0 {
			args = append([]string{"-u", "nobody"}, args...)
		}
		return args, nil
	},
}

func (f *field) close() {
	for _, r := range f.runners {
		r.stop()
	}
	if f.sink != nil {
		f.sink.stop()
	}
	f.hold.end()
	if f.guide != nil {
		f.guide.stop()
	}
	os.RemoveAll(f.dir)
}

// A result is what a run through a peer cost.
type result struct {
	messages int
	took     time.Duration
	cpu      time.Duration // of the peer; 0 where there is none
	own      time.Duration // of cpu, what the milter took
}

// A subject is what takes a workload's messages.
type subject interface {
	title() string
	measure(ctx context.Context, source string, w workload) (result, error)
}

// measure runs the workload through all subjects, round by round, and returns
// the results by title. The first round only warms up.
func measure[S subject](ctx context.Context, source string, w workload, rounds int, subjects []S) (map[string][]result, error) {
	results := map[string][]result{}
	for round := range rounds + 1 {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			res, err := s.measure(ctx, source, w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.title(), err)
			}
			if round > 0 {
				results[s.title()] = append(results[s.title()], res)
			}
		}
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", w.name, round, rounds)
	}
	return results, nil
}

// settling lets a program close its connections: that is work too.
const settling = 100 * time.Millisecond

func (r *runner) measure(ctx context.Context, source string, w workload) (result, error) {
	if r.share > 0 {
		w = w.scaled(r.share)
	}
	before, err := r.cpu()
	if err != nil {
		return result{}, err
	}
	took, err := w.send(ctx, source, r.addr)
	if err != nil {
		return result{}, err
	}
	r.sent += w.messages
	time.Sleep(settling)
	after, err := r.cpu()
	return result{messages: w.messages, took: took, cpu: after - before}, err
}

// checkLog wants a line of mailweir's log for each message.
func (r *runner) checkLog(messages int) error {
	if err := counted(r.log, `"msg":"accepted"`, messages); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}

// ours returns mailweir, which every field has.
func (f *field) ours() *runner {
	return f.runners[slices.IndexFunc(f.runners, (*runner).isOurs)]
}

func (r *runner) isOurs() bool { return r.name == ourName }

// isMailweir reports whether the peer is mailweir, with whichever options.
func (r *runner) isMailweir() bool { return strings.HasPrefix(r.name, ourName) }

func (r *runner) title() string { return r.name }

// measureWorkloads returns, as tables, what the peers cost.
func (f *field) measureWorkloads(ctx context.Context, rounds int, scale float64) (string, error) {
	report, asked := "", f.names.asked.Load()
	for _, w := range workloads {
		w = w.scaled(scale)
		if w.bulk {
			w.file = filepath.Join(f.dir, "letter")
			if err := writeLetter(w.file, w.octets); err != nil {
				return "", err
			}
		}
		runners := f.among(w.place())
		results, err := measure(ctx, f.source, w, rounds, runners)
		if err != nil {
			return "", fmt.Errorf("%s: %w", w.name, err)
		}
		report += table(w, runners, results, rounds)
	}
	return report, f.stillWarm(asked)
}

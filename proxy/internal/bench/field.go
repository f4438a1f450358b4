package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A field is the peers, all running, and the sink behind them.
type field struct {
	dir     string
	sink    *runner
	runners []*runner
	sent    int // messages, through each of the peers
}

// newField starts all that is installed.
func newField(ctx context.Context) (_ *field, err error) {
	for _, needed := range []string{"smtp-source", "smtp-sink"} {
		if _, err := exec.LookPath(needed); err != nil {
			return nil, fmt.Errorf("%w (Debian package postfix)", err)
		}
	}
	f := &field{}
	if f.dir, err = os.MkdirTemp("", "mailweir-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.sink, err = f.startSink(); err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p.version != nil {
			if _, err := exec.LookPath(p.version[0]); err != nil {
				fmt.Fprintf(os.Stderr, "%s is not installed: not measured\n", p.name)
				continue
			}
		}
		r, err := p.run(ctx, f.dir, f.sink.addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		f.runners = append(f.runners, r)
	}
	return f, nil
}

func (f *field) startSink() (*runner, error) {
	addr, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	args := []string{"-m", "4000", addr, "1024"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	return launch(peer{name: "smtp-sink"}, exec.Command("smtp-sink", args...), addr, filepath.Join(f.dir, "sink.log"))
}

func (f *field) close() {
	for _, r := range f.runners {
		r.stop()
	}
	if f.sink != nil {
		f.sink.stop()
	}
	os.RemoveAll(f.dir)
}

// A result is what a run through a peer cost.
type result struct {
	took time.Duration
	cpu  time.Duration // of the peer; 0 where there is none
}

// measure runs the workload through all peers, round by round, and returns
// the results by peer. The first round only warms up.
func (f *field) measure(ctx context.Context, w workload, rounds int) (map[string][]result, error) {
	results := map[string][]result{}
	for round := range rounds + 1 {
		for i := range f.runners {
			r := f.runners[(i+round)%len(f.runners)]
			res, err := r.measure(ctx, w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			if round > 0 {
				results[r.name] = append(results[r.name], res)
			}
		}
		f.sent += w.messages
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", w.name, round, rounds)
	}
	return results, nil
}

func (r *runner) measure(ctx context.Context, w workload) (result, error) {
	before, err := r.cpu()
	if err != nil {
		return result{}, err
	}
	took, err := w.send(ctx, r.addr)
	if err != nil {
		return result{}, err
	}
	time.Sleep(100 * time.Millisecond) // let it close its connections: that is work too
	after, err := r.cpu()
	return result{took: took, cpu: after - before}, err
}

func (r *runner) cpu() (time.Duration, error) {
	if r.proc == nil {
		return 0, nil
	}
	return r.proc.CPU()
}

// checkLog holds mailweir to its work: a line of the log for each message.
func (f *field) checkLog() error {
	for _, r := range f.runners {
		if r.name != "mailweir" {
			continue
		}
		log, err := os.ReadFile(r.log)
		if err != nil {
			return err
		}
		if n := bytes.Count(log, []byte(`"msg":"accepted"`)); n != f.sent {
			return fmt.Errorf("mailweir logged %d of %d messages", n, f.sent)
		}
	}
	return nil
}

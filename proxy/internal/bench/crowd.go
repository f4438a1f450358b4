package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// crowdSizes are how many sessions are open. The last is less where a process may
// not have two descriptors for each.
var crowdSizes = []int{10, 100, 1_000, 10_000}

// crowdWork is what they send, in turn: as many at a time as there are workers, each
// of which has sessions of its own.
var crowdWork = workload{name: "Open sessions", messages: 6_000, octets: latencyOctets, sessions: 10, keep: true}

// manySessions are enough to tell what one of them takes of the memory.
const manySessions = 1_000

// A crowd is the sessions that are open through a peer.
type crowd struct {
	*runner
	sessions []net.Conn
	next     int   // whose turn it is
	memory   int64 // that a session takes while all are silent, in octets
}

// measureCrowd returns, as a table, what messages cost when few and when many
// sessions are open, and what these take while they are silent. For each size the
// peers are started anew.
func (f *field) measureCrowd(ctx context.Context, rounds int, scale float64) (string, error) {
	largest := crowdSizes[len(crowdSizes)-1]
	if err := raiseFileLimit(uint64(2*largest + spareFiles)); err != nil {
		return "", err
	}
	most, err := mostSessions()
	if err != nil {
		return "", err
	}
	w := crowdWork.scaled(scale)
	w.messages -= w.messages % w.sessions
	var rows strings.Builder
	var few []result
	for _, n := range crowdSizes {
		row, ours, err := f.measureCrowdOf(ctx, min(n, most), w, rounds, few)
		if err != nil {
			return "", fmt.Errorf("%d sessions: %w", n, err)
		}
		if few == nil {
			few = ours
		}
		rows.WriteString(row)
	}
	return crowdTable(w, rows.String(), rounds), nil
}

// spareFiles are descriptors for all that is no session.
const spareFiles = 200

// mostSessions returns how many sessions a process may have that needs two
// descriptors for each, in whole hundreds.
func mostSessions() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return max(int(min(limit.Cur, 1<<20))-spareFiles, 200) / 200 * 100, nil
}

// measureCrowdOf measures n sessions and returns their row of the table, and what
// mailweir took. few is what it took for the smallest crowd, nil if that is this.
func (f *field) measureCrowdOf(ctx context.Context, n int, w workload, rounds int, few []result) (string, []result, error) {
	h := &hold{}
	defer h.end()
	var crowds []*crowd
	for _, r := range f.runners {
		if r.name != baseline && !r.isOurs() {
			continue
		}
		c, err := r.crowd(ctx, h, f.dir, n)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", r.name, err)
		}
		crowds = append(crowds, c)
	}
	w.name = fmt.Sprintf("%s: %d", w.name, n)
	results, err := measure(ctx, "", w, rounds, crowds)
	if err != nil {
		return "", nil, err
	}
	ours := results[ourName]
	if few == nil {
		few = ours
	}
	row := fmt.Sprintf("| %d |", n)
	for _, name := range []string{baseline, ourName} {
		row += " " + crowdCost(w, results[name]) + " |"
	}
	row += fmt.Sprintf(" %s | %s |", beside(ours, results[baseline]), beside(ours, few))
	for _, c := range crowds {
		if n >= manySessions {
			row += fmt.Sprintf(" %.1f KiB", float64(c.memory)/1024)
		}
		row += " |"
		if c.isOurs() {
			err = c.checkLog(w.messages * (rounds + 1))
		}
	}
	return row + "\n", ours, err
}

func crowdCost(w workload, rs []result) string {
	return spread(rs, 0, func(r result) float64 { return r.cpu.Seconds() * 1e6 / float64(w.messages) })
}

// crowd starts the peer once more, before a sink of its own, and opens n sessions
// through it.
func (r *runner) crowd(ctx context.Context, h *hold, dir string, n int) (*crowd, error) {
	sink, err := crowdSink.prepare(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	h.Cleanup(sink.stop)
	p := peer{name: r.name, configure: map[string]func(string, string, string) ([]string, error){
		baseline: haproxyCrowd, ourName: mailweirCrowd,
	}[r.name]}
	started, err := p.run(r.file, dir, sink.addr)
	if err != nil {
		return nil, err
	}
	h.Cleanup(started.stop)
	if err := started.greet(ctx, 10); err != nil { // to warm up
		return nil, err
	}
	before, err := started.proc.RSS()
	if err != nil {
		return nil, err
	}
	c := &crowd{runner: started, sessions: make([]net.Conn, n)}
	h.Cleanup(c.leave)
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	time.Sleep(5 * settling)
	after, err := started.proc.RSS()
	c.memory = (after - before) / int64(n)
	return c, err
}

// each has every worker do something with the sessions that are its own.
func (c *crowd) each(do func(worker int) error) error {
	errs := make([]error, crowdWork.sessions)
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() { errs[i] = do(i) })
	}
	workers.Wait()
	return errors.Join(errs...)
}

func (c *crowd) open(ctx context.Context) error {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1}
	return c.each(func(worker int) error {
		for i := worker; i < len(c.sessions); i += crowdWork.sessions {
			conn, err := dialer.DialContext(ctx, "tcp", c.addr)
			if err != nil {
				return err
			}
			c.sessions[i] = conn
			if err := hello(conn); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *crowd) leave() {
	for _, conn := range c.sessions {
		if conn != nil {
			conn.Close()
		}
	}
}

func (c *crowd) measure(_ context.Context, _ string, w workload) (result, error) {
	before, err := c.cpu()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if err := c.send(w.messages); err != nil {
		return result{}, err
	}
	took := time.Since(began)
	time.Sleep(settling)
	after, err := c.cpu()
	return result{took: took, cpu: after - before}, err
}

// send sends so many messages, each through the next session.
func (c *crowd) send(messages int) error {
	first := c.next
	c.next = (first + messages) % len(c.sessions)
	return c.each(func(worker int) error {
		buf := make([]byte, 512)
		for i := worker; i < messages; i += crowdWork.sessions {
			if err := sendOn(c.sessions[(first+i)%len(c.sessions)], buf); err != nil {
				return err
			}
		}
		return nil
	})
}

// sendOn sends one message, whose replies are of one line each.
func sendOn(conn net.Conn, buf []byte) error {
	conn.SetDeadline(time.Now().Add(runTimeout))
	for _, step := range dialogue {
		if _, err := conn.Write(step.say); err != nil {
			return err
		}
		said := 0
		for !bytes.HasSuffix(buf[:said], []byte("\n")) {
			n, err := conn.Read(buf[said:])
			if err != nil {
				return err
			}
			said += n
		}
		if want := fmt.Sprint(step.want, " "); !strings.HasPrefix(string(buf[:said]), want) {
			return fmt.Errorf("to %.20q it says %q", step.say, buf[:said])
		}
	}
	return nil
}

const haproxyCrowdConfig = `global
  nbthread %d
  maxconn %d
defaults
  mode tcp
  timeout connect 10s
  timeout client 1000s
  timeout server 1000s
listen smtp
  bind %s
  server sink %s
`

func haproxyCrowd(file, addr, upstream string) ([]string, error) {
	most, err := mostSessions()
	text := fmt.Sprintf(haproxyCrowdConfig, runtime.NumCPU(), most, addr, upstream)
	return []string{"-db", "-f", file}, errors.Join(err, os.WriteFile(file, []byte(text), 0o644))
}

const mailweirCrowdConfig = `hostname: relay.test.example
log: {level: info, format: json}
sessions: {max: 40000, max_per_client: 40000}
listeners:
  - name: mx
    address: %q
    upstream: {address: %q, max_connections: 40000}
` + shortChain

func mailweirCrowd(file, addr, upstream string) ([]string, error) {
	text := fmt.Sprintf(mailweirCrowdConfig, addr, upstream)
	return []string{"serve", "--config", file}, os.WriteFile(file, []byte(text), 0o644)
}

// crowdTable returns, and prints, the results.
func crowdTable(w workload, rows string, rounds int) string {
	text := fmt.Sprintf("\n### %s\n\n%d messages of %d octets, %d at once, each through the next of the sessions that are open; median of %d rounds (least to most). "+
		"Memory is resident, per session, of so many that have said EHLO.\n\n"+
		"| sessions | %s, CPU per message, µs | %s | beside %[6]s | beside the fewest sessions | %[6]s, memory | %[7]s |\n"+
		"| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n%[8]s",
		w.name, w.messages, w.octets, w.sessions, rounds, baseline, ourName, rows)
	fmt.Print(text)
	return text
}

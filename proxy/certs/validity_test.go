package certs_test

import (
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/certs"
)

// gauges keeps what a gauge was set to, by the value of its label.
type gauges struct {
	filters.Metrics
	mu     sync.Mutex
	values map[string]float64
}

func (g *gauges) Gauge(string, string, ...string) filters.Gauge { return g }

func (g *gauges) Set(n float64, values ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.values[strings.Join(values, ",")] = n
}

func (g *gauges) of(file string) (n float64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, ok = g.values[file]
	return n, ok
}

// TestValidity counts what is logged day by day, until a certificate has
// expired.
func TestValidity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t, "ca")
		p := ca.issue(t, leaf{cn: "a", ends: 23*day + time.Hour}).files(t, t.TempDir(), "mx")
		shelf, log := newShelf(t)
		newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}})

		time.Sleep(time.Minute)
		for d := range 26 {
			logged := log.Take()
			left := 23 - d
			want, count := "", 0
			switch {
			case left == 20:
				want, count = "level=WARN msg=\"certificate expires soon\" file="+p.Certificate, 1
			case left < 0:
				want, count = "level=ERROR msg=\"certificate has expired\" file="+p.Certificate, 1
			case left < 20:
				want, count = "expires soon", 1
			}
			if !strings.Contains(logged, want) || strings.Count(logged, "\n") != count {
				t.Errorf("%d days before the end: logged %q, want %d of %q", left, logged, count, want)
			}
			time.Sleep(day)
		}
	})
}

// TestValidityAtLoad tells of it at once, and again for another certificate.
func TestValidityAtLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		for _, c := range []struct {
			l    leaf
			want string // "" for none
		}{
			{leaf{ends: 22 * day}, ""},
			{leaf{ends: 20 * day}, "certificate expires soon"},
			{leaf{ends: 5*day + time.Hour}, "days=5"},
			{leaf{ends: -time.Second}, "certificate has expired"},
			{leaf{begins: time.Hour}, "certificate is not valid yet"},
		} {
			c.l.cn = "a"
			shelf, log := newShelf(t)
			newServer(t, shelf, certs.Server{Certificates: []certs.Pair{ca.issue(t, c.l).files(t, dir, "mx")}})
			if logged := log.Take(); !strings.Contains(logged, c.want) || strings.Count(logged, "\n") != min(1, len(c.want)) {
				t.Errorf("logged %q, want %q", logged, c.want)
			}
			shelf.Close()
		}

		shelf, log := newShelfWith(t, ahead(3645*day))
		file := ca.file(t, dir, "ca.pem")
		newClient(t, shelf, certs.Client{CA: file, Verify: true})
		if logged := log.Take(); !strings.Contains(logged, "certificate authority expires soon\" file="+file) {
			t.Errorf("logged %q of an authority", logged)
		}
	})
}

// ahead sets a clock that is so much ahead.
func ahead(d time.Duration) func(*filters.Env) {
	return func(env *filters.Env) { env.Now = func() time.Time { return time.Now().Add(d) } }
}

// TestRenewal ends the complaints.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		p := ca.issue(t, leaf{cn: "a", ends: day}).files(t, dir, "mx")
		shelf, log := newShelf(t)
		newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}})
		log.Take()
		ca.issue(t, leaf{cn: "a"}).files(t, dir, "mx")
		time.Sleep(3 * day)
		if logged := log.Take(); strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "read again") {
			t.Errorf("logged %q", logged)
		}
	})
}

// TestGauge follows the gauge of a file through its life.
func TestGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		metrics := &gauges{values: map[string]float64{}}
		shelf, _ := newShelfWith(t, func(env *filters.Env) { env.Metrics = metrics })
		expect := func(what, file string, end time.Time) {
			t.Helper()
			if n, ok := metrics.of(file); !ok || n != float64(end.Unix()) {
				t.Errorf("%s: %v, want %v", what, n, end.Unix())
			}
		}

		first := ca.issue(t, leaf{cn: "a", ends: 30 * day})
		p := first.files(t, dir, "mx")
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}, Clients: certs.Request, ClientCA: ca.file(t, dir, "ca.pem")})
		expect("at load", p.Certificate, first.leaf.NotAfter)
		expect("authority", dir+"/ca.pem", ca.cert.NotAfter)

		second := ca.issue(t, leaf{cn: "b", ends: 60 * day})
		second.files(t, dir, "mx")
		time.Sleep(twoLooks)
		synctest.Wait()
		expect("renewed", p.Certificate, second.leaf.NotAfter)

		moved := certs.Pair{Certificate: p.Certificate, Key: dir + "/moved.key"}
		write(t, moved.Key, second.key, 0o600)
		next := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{moved}})
		server.Close()
		expect("with its key in another file", p.Certificate, second.leaf.NotAfter)
		next.Close()
		if _, err := shelf.Server(certs.Server{Certificates: []certs.Pair{moved, {Certificate: dir, Key: dir}}}); err == nil {
			t.Error("a folder is a certificate")
		}
		for _, file := range []string{p.Certificate, dir + "/ca.pem"} {
			if n, _ := metrics.of(file); !math.IsNaN(n) {
				t.Errorf("out of use, %s is %v", file, n)
			}
		}
	})
}

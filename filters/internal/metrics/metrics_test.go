package metrics_test

import (
	"bytes"
	"log/slog"
	"math"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/metrics"
)

func registry() (*metrics.Registry, *bytes.Buffer) {
	var log bytes.Buffer
	return metrics.New(slog.New(slog.NewTextHandler(&log, nil)), "v1.2.3"), &log
}

// shown is what a GET returns.
func shown(t *testing.T, r *metrics.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func want(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

func TestShown(t *testing.T) {
	r, log := registry()
	c := r.Counter("mailweir_tests_total", "Tests.", "kind", "result")
	c.Add(1, "helo", "passed")
	c.Add(2, "helo", "passed")
	c.Add(1, "rdns", "failed")
	r.Counter("mailweir_quiet_total", "Nothing yet.")
	g := r.Gauge("mailweir_entries", "Entries.")
	g.Set(5)
	g.Set(3)
	h := r.Histogram("mailweir_wait_seconds", "Waits.", []float64{0.1, 1}, "kind")
	h.Observe(0.05, "helo")
	h.Observe(0.5, "helo")
	h.Observe(7, "helo")
	text := shown(t, r)
	want(t, text,
		`# HELP mailweir_tests_total Tests.`,
		`# TYPE mailweir_tests_total counter`,
		`mailweir_tests_total{kind="helo",result="passed"} 3`,
		`mailweir_tests_total{kind="rdns",result="failed"} 1`,
		`mailweir_quiet_total 0`,
		`mailweir_entries 3`,
		`mailweir_wait_seconds_bucket{kind="helo",le="0.1"} 1`,
		`mailweir_wait_seconds_bucket{kind="helo",le="1"} 2`,
		`mailweir_wait_seconds_bucket{kind="helo",le="+Inf"} 3`,
		`mailweir_wait_seconds_count{kind="helo"} 3`,
		`mailweir_build_info{goversion="`+runtime.Version()+`",version="v1.2.3"} 1`,
	)
	for _, prefix := range []string{"go_goroutines ", "process_cpu_seconds_total "} {
		if !strings.Contains(text, "\n"+prefix) {
			t.Errorf("nothing begins with %q", prefix)
		}
	}
	if log.Len() > 0 {
		t.Error(log)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// The same name is the same instrument, whoever asks.
func TestAskedTwice(t *testing.T) {
	r, log := registry()
	r.Counter("mailweir_a_total", "A.", "x").Add(1, "1")
	r.Counter("mailweir_a_total", "A.", "x").Add(1, "1")
	r.Gauge("mailweir_b", "B.").Set(1)
	r.Gauge("mailweir_b", "B.").Set(2)
	r.Histogram("mailweir_c_seconds", "C.", []float64{1}).Observe(2)
	r.Histogram("mailweir_c_seconds", "C.", []float64{1}).Observe(2)
	want(t, shown(t, r), `mailweir_a_total{x="1"} 2`, "mailweir_b 2", "mailweir_c_seconds_count 2")
	if log.Len() > 0 {
		t.Error(log)
	}
}

// What is used wrongly neither panics nor disturbs the rest.
func TestMisuse(t *testing.T) {
	for name, use := range map[string]func(r *metrics.Registry){
		"too few values":  func(r *metrics.Registry) { r.Counter("mailweir_x_total", "X.", "a", "b").Add(1, "1") },
		"too many values": func(r *metrics.Registry) { r.Gauge("mailweir_x", "X.").Set(1, "1") },
		"no UTF-8":        func(r *metrics.Registry) { r.Counter("mailweir_x_total", "X.", "a").Add(1, "\xff") },
		"shrinking":       func(r *metrics.Registry) { r.Counter("mailweir_x_total", "X.").Add(-1) },
		"no number":       func(r *metrics.Registry) { r.Counter("mailweir_x_total", "X.").Add(math.NaN()) },
		"other labels": func(r *metrics.Registry) {
			r.Counter("mailweir_x_total", "X.", "a")
			r.Counter("mailweir_x_total", "X.", "a", "b").Add(1, "1", "2")
		},
		"other type": func(r *metrics.Registry) {
			r.Counter("mailweir_x", "X.")
			r.Gauge("mailweir_x", "X.").Set(1)
			r.Histogram("mailweir_x", "X.", []float64{1}).Observe(1)
		},
		"no name":     func(r *metrics.Registry) { r.Counter("", "X.").Add(1) },
		"taken name":  func(r *metrics.Registry) { r.Gauge("go_goroutines", "X.").Set(1) },
		"label twice": func(r *metrics.Registry) { r.Gauge("mailweir_x", "X.", "a", "a").Set(1, "1", "2") },
		"label le":    func(r *metrics.Registry) { r.Histogram("mailweir_x", "X.", []float64{1}, "le").Observe(1, "2") },
		"bounds":      func(r *metrics.Registry) { r.Histogram("mailweir_x", "X.", []float64{2, 1}).Observe(1) },
	} {
		t.Run(name, func(t *testing.T) {
			r, log := registry()
			for range 3 {
				use(r)
			}
			if !strings.Contains(log.String(), "level=ERROR") {
				t.Error("nothing was logged")
			}
			r.Gauge("mailweir_y", "Y.").Set(1)
			want(t, shown(t, r), "mailweir_y 1")
		})
	}
	r, log := registry()
	c := r.Counter("mailweir_x_total", "X.", "a")
	for range 3 {
		c.Add(1)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d records for one mistake:\n%s", n, log)
	}
}

// Counting is on the way of every command.
func TestCheap(t *testing.T) {
	r, _ := registry()
	c := r.Counter("mailweir_x_total", "X.", "a")
	h := r.Histogram("mailweir_y_seconds", "Y.", []float64{1}, "a")
	values := []string{"1"}
	observe := filters.Observer(h, values...)
	for name, count := range map[string]func(){
		"Add":      func() { c.Add(1, values...) },
		"Observe":  func() { h.Observe(1, values...) },
		"Observer": func() { observe(1) },
	} {
		if n := testing.AllocsPerRun(100, count); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// An observer counts as the histogram does that it is of.
func TestObserver(t *testing.T) {
	r, log := registry()
	h := r.Histogram("mailweir_x_seconds", "X.", []float64{1}, "a")
	filters.Observer(h, "b")(2)
	h.Observe(3, "b")
	want(t, shown(t, r), `mailweir_x_seconds_sum{a="b"} 5`)
	if filters.Observer(h, "b", "c") != nil || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("no such labels: %s", log)
	}
	if filters.Observer(filters.Env{}.Histogram("mailweir_x_seconds", "X.", nil)) != nil {
		t.Error("nothing is counted, and there is an observer")
	}
}

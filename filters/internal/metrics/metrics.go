// Package metrics keeps the instruments of the running program, and shows them
// in the text format of Prometheus.
package metrics

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mailweir/mailweir/filters"
)

// Registry is a filters.Metrics. It begins with what the Go runtime, the
// process and the build tell of themselves.
//
// A wrong use of an instrument must not end the program: it is logged once,
// and counts nothing.
type Registry struct {
	log      *slog.Logger
	registry *prometheus.Registry

	mu    sync.Mutex
	known map[string]any // instruments by name
}

var _ filters.Metrics = (*Registry)(nil)

// New returns a registry that tells of the program in that version. What is
// wrong with an instrument goes to log.
func New(log *slog.Logger, version string) *Registry {
	r := &Registry{log: log, registry: prometheus.NewRegistry(), known: map[string]any{}}
	r.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	r.Gauge("mailweir_build_info", "The version of mailweir and of the Go that it is built with; always 1.", "version", "goversion").
		Set(1, version, runtime.Version())
	return r
}

// How often, and for how long, the metrics are gathered.
const (
	maxScrapes    = 4 // at once; further ones are told 503
	scrapeTimeout = 10 * time.Second
)

// Handler serves what there is to tell.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(r.log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// Counter returns the counter of that name.
func (r *Registry) Counter(name, help string, labels ...string) filters.Counter {
	make := func() *counter {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		return &counter{newSeries(r, name, vec, vec.GetMetricWithLabelValues)}
	}
	if c := instrument(r, name, labels, nil, make); c != nil {
		return c
	}
	return filters.Env{}.Counter(name, help)
}

// Gauge returns the gauge of that name.
func (r *Registry) Gauge(name, help string, labels ...string) filters.Gauge {
	make := func() *gauge {
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		return &gauge{newSeries(r, name, vec, vec.GetMetricWithLabelValues)}
	}
	if g := instrument(r, name, labels, nil, make); g != nil {
		return g
	}
	return filters.Env{}.Gauge(name, help)
}

// Histogram returns the histogram of that name.
func (r *Registry) Histogram(name, help string, buckets []float64, labels ...string) filters.Histogram {
	make := func() *histogram {
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		return &histogram{newSeries(r, name, vec, vec.GetMetricWithLabelValues)}
	}
	if h := instrument(r, name, labels, buckets, make); h != nil {
		return h
	}
	return filters.Env{}.Histogram(name, help, buckets)
}

// registered is an instrument that has its place among the others.
type registered interface{ register(labels []string) error }

// instrument returns the instrument of that name: the one that is known, or
// one that is made. It returns nil, and logs why, when it can be neither.
func instrument[I registered](r *Registry, name string, labels []string, buckets []float64, make func() I) I {
	r.mu.Lock()
	defer r.mu.Unlock()
	var none I
	switch known := r.known[name].(type) {
	case nil:
	case I:
		return known
	default:
		r.log.Error("a metric is not counted", "metric", name, "error", fmt.Sprintf("asked for as a %T, which is a %T", none, known))
		return none
	}
	err := fault(labels, buckets)
	var made I
	if err == nil {
		made = make()
		err = made.register(labels)
	}
	if err != nil {
		r.log.Error("a metric is not counted", "metric", name, "error", err)
		return none
	}
	r.known[name] = made
	return made
}

// fault finds what prometheus would panic at, but only when the first value
// comes.
func fault(labels []string, buckets []float64) error {
	if buckets != nil && slices.Contains(labels, "le") {
		return fmt.Errorf("a histogram has no room for a label le")
	}
	for i, b := range buckets {
		if i > 0 && !(b > buckets[i-1]) {
			return fmt.Errorf("the bounds %v do not grow", buckets)
		}
	}
	return nil
}

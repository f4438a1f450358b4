package metrics

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// series is what an instrument has counted, by the values of its labels.
type series[M any] struct {
	name     string
	log      *slog.Logger
	registry *prometheus.Registry
	vec      prometheus.Collector
	get      func(values ...string) (M, error)
	misused  sync.Once
}

func newSeries[M any](r *Registry, name string, vec prometheus.Collector, get func(...string) (M, error)) *series[M] {
	return &series[M]{name: name, log: r.log, registry: r.registry, vec: vec, get: get}
}

func (s *series[M]) register(labels []string) error {
	if err := s.registry.Register(s.vec); err != nil {
		return err
	}
	if len(labels) == 0 { // show it before the first event, too
		_, err := s.get()
		return err
	}
	return nil
}

// of returns what counts for those values; ok is false for values that do not
// fit the labels.
func (s *series[M]) of(values []string) (m M, ok bool) {
	m, err := s.get(values...)
	if err != nil {
		s.misuse(err)
	}
	return m, err == nil
}

func (s *series[M]) misuse(err error) {
	s.misused.Do(func() { s.log.Error("a metric misses events", "metric", s.name, "error", err) })
}

type counter struct{ *series[prometheus.Counter] }

// Add counts. What would make the counter shrink is left out.
func (c *counter) Add(n float64, values ...string) {
	if !(n >= 0) {
		c.misuse(fmt.Errorf("%v cannot be added to a counter", n))
		return
	}
	if m, ok := c.of(values); ok {
		m.Add(n)
	}
}

type gauge struct{ *series[prometheus.Gauge] }

// Set sets the gauge.
func (g *gauge) Set(n float64, values ...string) {
	if m, ok := g.of(values); ok {
		m.Set(n)
	}
}

type histogram struct{ *series[prometheus.Observer] }

// Observer returns Observe for those values: see filters.Observer.
func (h *histogram) Observer(values ...string) func(n float64) {
	m, ok := h.of(values)
	if !ok {
		return nil
	}
	return m.Observe
}

// Observe counts an amount.
func (h *histogram) Observe(n float64, values ...string) {
	if m, ok := h.of(values); ok {
		m.Observe(n)
	}
}

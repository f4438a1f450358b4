package filtertest

import (
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// Metrics are instruments that a test can read. Histograms count how often.
type Metrics struct {
	mu     sync.Mutex
	values map[string]float64
	most   map[string]float64 // of gauges
}

var _ filters.Metrics = (*Metrics)(nil)

// NewMetrics returns metrics that have counted nothing.
func NewMetrics() *Metrics {
	return &Metrics{values: map[string]float64{}, most: map[string]float64{}}
}

// Get returns what is shown for these values of the labels.
func (m *Metrics) Get(name string, values ...string) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key(name, values)]
}

// Greatest returns the greatest value that a gauge has had.
func (m *Metrics) Greatest(name string, values ...string) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.most[key(name, values)]
}

// All returns what is not 0 under that name, by the values of its labels.
func (m *Metrics) All(name string) map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	some := map[string]float64{}
	for k, n := range maps.All(m.values) {
		if values, ok := strings.CutPrefix(k, name+" "); ok && n != 0 {
			some[values] = n
		}
	}
	return some
}

func key(name string, values []string) string { return name + " " + strings.Join(values, " ") }

// Counter implements filters.Metrics.
func (m *Metrics) Counter(name, _ string, labels ...string) filters.Counter {
	return instrument{m, name, len(labels)}
}

// Gauge implements filters.Metrics.
func (m *Metrics) Gauge(name, _ string, labels ...string) filters.Gauge {
	return instrument{m, name, len(labels)}
}

// Histogram implements filters.Metrics.
func (m *Metrics) Histogram(name, _ string, _ []float64, labels ...string) filters.Histogram {
	return instrument{m, name, len(labels)}
}

type instrument struct {
	*Metrics
	name   string
	labels int
}

// Add counts.
func (i instrument) Add(n float64, values ...string) {
	i.change(values, func(before float64) float64 { return before + n })
}

// Set sets a gauge.
func (i instrument) Set(n float64, values ...string) {
	i.change(values, func(float64) float64 { return n })
}

// Observe counts once.
func (i instrument) Observe(_ float64, values ...string) { i.Add(1, values...) }

func (i instrument) change(values []string, how func(float64) float64) {
	if len(values) != i.labels {
		panic(fmt.Sprintf("%s has %d labels, not %q", i.name, i.labels, values))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	k := key(i.name, values)
	i.values[k] = how(i.values[k])
	i.most[k] = max(i.most[k], i.values[k])
}

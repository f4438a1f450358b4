package filters

// Metrics makes the instruments that the operator watches. Names are in the
// form that Prometheus wants, such as mailweir_dns_questions_total. Whoever
// asks for a name again gets the same instrument. The values of labels are from
// small closed sets, never from what a client says.
type Metrics interface {
	Counter(name, help string, labels ...string) Counter
	Gauge(name, help string, labels ...string) Gauge
	Histogram(name, help string, buckets []float64, labels ...string) Histogram
}

// Counter is a number that only grows.
type Counter interface {
	Add(n float64, values ...string)
}

// Gauge is a number that goes up and down.
type Gauge interface {
	Set(n float64, values ...string)
}

// Histogram counts amounts, such as seconds, by size.
type Histogram interface {
	Observe(n float64, values ...string)
}

// Counter returns the counter of that name; one that counts nothing if the
// host has no metrics.
func (e Env) Counter(name, help string, labels ...string) Counter {
	if e.Metrics == nil {
		return unwatched{}
	}
	return e.Metrics.Counter(name, help, labels...)
}

// Gauge is Counter for a gauge.
func (e Env) Gauge(name, help string, labels ...string) Gauge {
	if e.Metrics == nil {
		return unwatched{}
	}
	return e.Metrics.Gauge(name, help, labels...)
}

// Histogram is Counter for a histogram with those upper bounds.
func (e Env) Histogram(name, help string, buckets []float64, labels ...string) Histogram {
	if e.Metrics == nil {
		return unwatched{}
	}
	return e.Metrics.Histogram(name, help, buckets, labels...)
}

// Observer returns what counts amounts for those values at less cost than
// Observe, for questions that are put all the time. It is nil if the host has no
// metrics.
func Observer(h Histogram, values ...string) func(n float64) {
	switch h := h.(type) {
	case nil, unwatched:
		return nil
	case interface {
		Observer(values ...string) func(n float64)
	}:
		return h.Observer(values...)
	}
	return func(n float64) { h.Observe(n, values...) }
}

type unwatched struct{}

func (unwatched) Add(float64, ...string)     {}
func (unwatched) Set(float64, ...string)     {}
func (unwatched) Observe(float64, ...string) {}

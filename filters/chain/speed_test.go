package chain_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/internal/metrics"
)

// quiet implements every stage of the commands and finds nothing.
type quiet struct{}

func (quiet) Connect(context.Context, *filters.Session) filters.Verdict  { return filters.Verdict{} }
func (quiet) Helo(context.Context, *filters.Session) filters.Verdict     { return filters.Verdict{} }
func (quiet) Mail(context.Context, *filters.Transaction) filters.Verdict { return filters.Verdict{} }
func (quiet) Data(context.Context, *filters.Transaction) filters.Verdict { return filters.Verdict{} }
func (quiet) Header(context.Context, *filters.Transaction) filters.Verdict {
	return filters.Verdict{}
}
func (quiet) Message(context.Context, *filters.Transaction) filters.Verdict {
	return filters.Verdict{}
}
func (quiet) Rcpt(context.Context, *filters.Transaction, *filters.Path) filters.Verdict {
	return filters.Verdict{}
}
func (quiet) Command(context.Context, *filters.Session, string, string) filters.Verdict {
	return filters.Verdict{}
}
func (quiet) Body(context.Context, *filters.Transaction) io.Writer { return io.Discard }

// twelve starts a session with a chain of twelve filters, and has one
// transaction behind it.
func twelve(t testing.TB) *chain.Run {
	var specs []chain.Spec
	for i := range 12 {
		specs = append(specs, chain.Spec{Kind: filters.Kind{Name: fmt.Sprint("k", i),
			New: func(filters.Env, any) (filters.Filter, error) { return quiet{}, nil }}})
	}
	e := env(io.Discard)
	e.Metrics = metrics.New(e.Log, "test")
	c, err := chain.Build(e, specs, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	r := c.For(session().Listener).Start(context.Background(), session())
	r.Connect()
	r.Helo("mx.example.org", true)
	r.Mail(alice, 0)
	r.Rcpt(bob)
	r.Done(taken)
	return r
}

func TestNoAllocations(t *testing.T) {
	r := twelve(t)
	for name, f := range map[string]func(){
		"connect": func() { r.Connect() },
		"helo":    func() { r.Helo("mx.example.org", true) },
		"command": func() { r.Command("VRFY", "bob") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	runs := make([]*chain.Run, 102) // AllocsPerRun warms up with one run
	for i := range runs {
		runs[i] = twelve(t)
	}
	i := 0
	n := testing.AllocsPerRun(100, func() {
		r := runs[i]
		r.Mail(alice, 0)
		r.Rcpt(bob)
		r.Data()
		r.Header(nil)
		r.Message()
		i++
	})
	if n != 0 {
		t.Errorf("a transaction until it is done: %v allocations", n)
	}
	piece := []byte(content)
	r.Mail(alice, 0)
	r.BeginBody()
	if n := testing.AllocsPerRun(100, func() { r.Body(piece) }); n != 0 {
		t.Errorf("body: %v allocations", n)
	}
}

func BenchmarkStage(b *testing.B) {
	piece := []byte(content)
	for name, f := range map[string]func(*chain.Run){
		"connect": func(r *chain.Run) { r.Connect() },
		"helo":    func(r *chain.Run) { r.Helo("mx.example.org", true) },
		"rcpt": func(r *chain.Run) {
			r.Rcpt(bob)
			r.Transaction().Rcpts = r.Transaction().Rcpts[:0]
		},
		"data":    func(r *chain.Run) { r.Data() },
		"eoh":     func(r *chain.Run) { r.Header(nil) },
		"body":    func(r *chain.Run) { r.Body(piece) },
		"eom":     func(r *chain.Run) { r.Message() },
		"command": func(r *chain.Run) { r.Command("VRFY", "bob") },
	} {
		b.Run(name, func(b *testing.B) {
			r := twelve(b)
			if name != "helo" { // it would end the transaction each time
				r.Mail(alice, 0)
				r.BeginBody()
			}
			b.ReportAllocs()
			for b.Loop() {
				f(r)
			}
		})
	}
}

// BenchmarkTransaction includes the record at its end, with a log that drops it.
func BenchmarkTransaction(b *testing.B) {
	r := twelve(b)
	b.ReportAllocs()
	for b.Loop() {
		r.Mail(alice, 0)
		r.Rcpt(bob)
		r.Data()
		r.Done(taken)
	}
}

package dnsbl

import (
	"context"
	"sync"
	"time"
)

// inquiry is what a filter asks in a session.
type inquiry struct {
	mu      sync.Mutex    // guards the results of all parts
	arrived chan struct{} // holds one after a result has come
	client  *part
	helo    *part // of the HELO in force
	helos   int   // how many there were
}

func newInquiry() *inquiry { return &inquiry{arrived: make(chan struct{}, 1)} }

// part is what is asked about one subject. Its slices are by the zones'
// position.
type part struct {
	*inquiry
	subject
	lists    []*list // nil where nothing is asked
	results  []result
	deadline time.Time
	ended    chan struct{} // closed once all results are there
	obsolete context.Context
	cancel   context.CancelFunc // makes it obsolete
}

// begin makes a part and fills in what is known without asking.
func (f *filter) begin(q *inquiry, s subject) *part {
	p := &part{inquiry: q, subject: s, lists: make([]*list, len(f.zones)), results: make([]result, len(f.zones)), deadline: time.Now().Add(f.desk.limit)}
	pending := false
	for i, z := range f.zones {
		l := z.lists[names]
		if s.check == CheckClient {
			l = z.listFor(s.addr)
		}
		if l == nil || !z.asks(s.check) || len(s.labels)+1+len(z.name) > maxShown {
			p.results[i].done = true
			continue
		}
		p.lists[i] = l
		p.results[i] = l.known(s)
		pending = pending || !p.results[i].done
	}
	if pending {
		p.ended = make(chan struct{})
		p.obsolete, p.cancel = context.WithCancel(context.Background())
	}
	return p
}

// pending reports whether there is anything to ask: run does it then.
func (p *part) pending() bool { return p.ended != nil }

// run asks what is not known, all at once, until the deadline.
func (p *part) run(ctx context.Context) {
	defer close(p.ended)
	defer p.cancel()
	ctx, cancel := context.WithDeadline(ctx, p.deadline)
	defer cancel()
	defer context.AfterFunc(p.obsolete, cancel)()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range p.results {
		if !p.results[i].done { // nobody else writes there yet
			wg.Go(func() { p.put(i, p.lists[i].ask(ctx, p.subject)) })
		}
	}
}

func (p *part) put(i int, r result) {
	p.mu.Lock()
	r.done = true
	p.results[i] = r
	p.mu.Unlock()
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

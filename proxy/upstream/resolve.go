package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/mailweir/mailweir/filters"
)

// maxServers bounds the servers of one set of records.
const maxServers = 64

// smtpPort is where the mail exchangers of a domain listen (RFC 5321 section
// 4.5.4.2).
const smtpPort = 25

// record is where one server is.
type record struct {
	host string // name or address; "" of a Unix socket
	port uint16
	path string // of a Unix socket

	rank  int     // of its priority in its set, 0 first
	share float64 // of the sessions that go to its rank, up to 1
}

// address returns where it is, as logs and metrics name it.
func (r record) address() string {
	if r.path != "" {
		return "unix:" + r.path
	}
	return net.JoinHostPort(r.host, strconv.Itoa(int(r.port)))
}

// record returns where a Host or a Unix is.
func (s Server) record() record {
	return record{host: s.Host, port: s.Port, path: s.Path, share: 1}
}

// label returns the server as the configuration spells it.
func (s Server) label() string {
	switch s.Kind {
	case SRV:
		return "srv:" + s.Host
	case MX:
		if s.Port == 0 || s.Port == smtpPort {
			return "mx:" + s.Host
		}
		return "mx:" + s.record().address()
	}
	return s.record().address()
}

// find asks the DNS for the servers of a set.
func (f *Fleet) find(ctx context.Context, s Server) ([]record, error) {
	if f.env.Resolver == nil {
		return nil, fmt.Errorf("%s: there is no resolver to ask", s.label())
	}
	if s.Kind == SRV {
		return f.findSRV(ctx, s.Host)
	}
	return f.findMX(ctx, s)
}

func (f *Fleet) findSRV(ctx context.Context, name string) ([]record, error) {
	a, err := f.env.Resolver.Lookup(ctx, filters.Question{Name: name, Type: filters.TypeSRV})
	if err != nil {
		return nil, err
	}
	var all ranking
	for _, r := range a.SRVs {
		if r.Host != "" && r.Port != 0 {
			// One without weight has a very small chance beside others.
			all.add(record{host: r.Host, port: r.Port, share: float64(r.Weight)*256 + 1}, r.Priority)
		}
	}
	if len(all.records) == 0 {
		return nil, fmt.Errorf("SRV %s: the DNS says that there is no such service (a host of \".\", RFC 2782)", name)
	}
	return all.shared(), nil
}

func (f *Fleet) findMX(ctx context.Context, s Server) ([]record, error) {
	port := s.Port
	if port == 0 {
		port = smtpPort
	}
	a, err := f.env.Resolver.Lookup(ctx, filters.Question{Name: s.Host, Type: filters.TypeMX})
	if errors.Is(err, filters.ErrNoData) {
		return []record{{host: s.Host, port: port, share: 1}}, nil // RFC 5321 section 5.1
	}
	if err != nil {
		return nil, err
	}
	var all ranking
	for _, r := range a.MXs {
		if r.Host != "" {
			all.add(record{host: r.Host, port: port, share: 1}, r.Preference)
		}
	}
	if len(all.records) == 0 {
		return nil, fmt.Errorf("MX %s: the domain says that it takes no mail (null MX, RFC 7505)", s.Host)
	}
	return all.shared(), nil
}

// ranking ranks records that come by priority.
type ranking struct {
	records []record
	last    uint16 // priority of the last
	sums    []float64
}

// add takes a record with its weight in place of its share. Further ones than
// maxServers, and those that are there already, are left out.
func (a *ranking) add(r record, priority uint16) {
	if len(a.records) == maxServers {
		return
	}
	for _, other := range a.records {
		if other.host == r.host && other.port == r.port {
			return
		}
	}
	if len(a.sums) == 0 || priority != a.last {
		a.sums = append(a.sums, 0)
	}
	a.last = priority
	r.rank = len(a.sums) - 1
	a.sums[r.rank] += r.share
	a.records = append(a.records, r)
}

// shared returns the records with the share of each.
func (a *ranking) shared() []record {
	for i := range a.records {
		a.records[i].share /= a.sums[a.records[i].rank]
	}
	return a.records
}

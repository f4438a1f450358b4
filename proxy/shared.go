package proxy

import (
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/env"
	"github.com/mailweir/mailweir/proxy/certs"
	fronts "github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/milter"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// shared is what all listeners use, and what outlives the configuration that is
// in force.
type shared struct {
	host     *env.Host // of the filters
	shelf    *certs.Shelf
	fleet    *upstream.Fleet
	limiter  *relay.Limiter
	room     *relay.Room
	failures *relay.Failures
	relays   *relay.Meters
	milters  *milter.Meters
}

// maxFailing is how many client networks are remembered for failed log-ins.
const maxFailing = 20_000

// newShared touches nothing until it is used, and is to be closed.
func newShared(cfg *configs.Config, log *slog.Logger) (*shared, error) {
	host, err := OpenHost(cfg, log)
	if err != nil {
		return nil, err
	}
	sessions := fronts.NewMeters(host.Env())
	s := &shared{
		host:     host,
		shelf:    certs.New(host.Env()),
		fleet:    upstream.NewFleet(host.Env()),
		limiter:  relay.NewLimiter(0, 0),
		room:     relay.NewRoom(0),
		failures: relay.NewFailures(maxFailing, time.Now),
		relays:   relay.NewMeters(host.Env(), sessions),
		milters:  milter.NewMeters(host.Env(), sessions),
	}
	s.resize(cfg.Sessions)
	return s, nil
}

// resize changes the limits that all sessions share.
func (s *shared) resize(c configs.Sessions) {
	n := relay.Networks(c.ClientNetwork)
	s.limiter.Resize(c.Max, c.MaxPerClient, n)
	s.failures.Resize(n)
	s.limiter.SetRate(c.NewPerClient)
	s.room.Resize(int64(c.MaxHeld))
}

// close ends what sessions have shared.
func (s *shared) close() error {
	s.fleet.Close()
	s.shelf.Close()
	return s.host.Close()
}

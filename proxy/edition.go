package proxy

import (
	"errors"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/env"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// edition is what one loading of the configuration made.
type edition struct {
	config *configs.Config
	chain  *chain.Chain
	lease  *env.Lease // of what its filters keep
	groups map[string]*upstream.Group
	files  marks // that it was made of
}

// newEdition makes the chain, which fits all listeners. Its error is a
// configs.Problems.
func newEdition(cfg *configs.Config, host *env.Host, fleet *upstream.Fleet) (*edition, error) {
	e := &edition{config: cfg, lease: host.Lease(), files: lookAt(cfg.Files())}
	built, err := cfg.Build(e.lease.Env())
	if err != nil {
		e.lease.End()
		return nil, err
	}
	e.chain = built
	e.files.add(built.Files())
	var errs []error
	for _, l := range cfg.Listeners {
		errs = append(errs, built.For(l.Name).Fits(offers(l)))
	}
	if err := errors.Join(errs...); err != nil {
		e.close()
		return nil, cfg.Explain(err)
	}
	e.groups = groups(cfg, fleet)
	return e, nil
}

// close ends the filters. No session may use them any more.
func (e *edition) close() error {
	for _, g := range e.groups {
		g.Close()
	}
	return errors.Join(e.chain.Close(), e.lease.End())
}

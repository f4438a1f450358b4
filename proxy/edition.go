package proxy

import (
	"errors"
	"log/slog"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/env"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// edition is what one loading of the configuration made.
type edition struct {
	config       *configs.Config
	chain        *chain.Chain
	lease        *env.Lease // of what its filters keep
	certificates *certificates
	groups       map[string]*upstream.Group
	files        marks // that it was made of
}

// newEdition makes the chain, which fits all listeners, and what the listeners
// need besides. Its error is a configs.Problems.
func newEdition(cfg *configs.Config, s *shared) (*edition, error) {
	e := &edition{config: cfg, lease: s.host.Lease(), files: lookAt(cfg.Files())}
	built, err := cfg.Build(e.lease.Env())
	if err != nil {
		e.lease.End()
		return nil, err
	}
	e.chain = built
	e.files.add(built.Files())
	e.certificates, err = openCertificates(cfg, s.shelf)
	if err := errors.Join(misfit(cfg, built), err); err != nil {
		e.close()
		return nil, cfg.Explain(err)
	}
	e.openGroups(s.fleet)
	return e, nil
}

// misfit tells what the chain asks for that a listener does not offer.
func misfit(cfg *configs.Config, c *chain.Chain) error {
	var errs []error
	for _, l := range cfg.Listeners {
		errs = append(errs, c.For(l.Name).Fits(offers(l)))
	}
	return errors.Join(errs...)
}

// CheckChain tells whether the chain can be made, and whether it fits all
// listeners. It does not look at what else the listeners need, such as
// certificates.
func CheckChain(cfg *configs.Config, log *slog.Logger) error {
	host, err := OpenHost(cfg, log)
	if err != nil {
		return err
	}
	c, err := cfg.Build(host.Env())
	if err == nil {
		err = errors.Join(cfg.Explain(misfit(cfg, c)), c.Close())
	}
	return errors.Join(err, host.Close())
}

// close ends the filters. No session may use them any more.
func (e *edition) close() error {
	for _, g := range e.groups {
		g.Close()
	}
	e.certificates.close()
	return errors.Join(e.chain.Close(), e.lease.End())
}

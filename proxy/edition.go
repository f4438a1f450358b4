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
	var errs []error
	for _, l := range cfg.Listeners {
		errs = append(errs, built.For(l.Name).Fits(offers(l)))
	}
	e.certificates, err = openCertificates(cfg, s.shelf)
	if err := errors.Join(append(errs, err)...); err != nil {
		e.close()
		return nil, cfg.Explain(err)
	}
	e.openGroups(s.fleet)
	return e, nil
}

// close ends the filters. No session may use them any more.
func (e *edition) close() error {
	for _, g := range e.groups {
		g.Close()
	}
	e.certificates.close()
	return errors.Join(e.chain.Close(), e.lease.End())
}

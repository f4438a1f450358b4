package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/env"
	"github.com/mailweir/mailweir/proxy/milter"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/trial"
)

// Trial is a configuration to try, without its sockets, its state file and its
// upstreams.
type Trial struct {
	Listener configs.Listener

	log     *slog.Logger
	cfg     *configs.Config
	host    *env.Host
	chain   *chain.Chain
	unasked trial.Questions
}

// NewTrial makes the chain for the listener of that name, with "" for the first.
// It asks the DNS only if it is live. It fails as New does, and when there is no
// such listener. The trial is to be closed.
func NewTrial(cfg *configs.Config, listener string, live bool, log *slog.Logger) (*Trial, error) {
	l, err := chooseListener(cfg.Listeners, listener)
	if err != nil {
		return nil, err
	}
	t := &Trial{Listener: l, log: log, cfg: cfg}
	imagined := *cfg
	imagined.State.File = ""
	if !live {
		imagined.Chain = slices.Clone(cfg.Chain)
		for i := range imagined.Chain {
			spec := &imagined.Chain[i]
			spec.Kind = t.unasked.Keep(spec.Kind, spec.Name)
		}
	}
	if t.host, err = OpenHost(&imagined, log); err != nil {
		return nil, err
	}
	if t.chain, err = imagined.Build(t.host.Env()); err != nil {
		t.host.Close()
		return nil, err
	}
	return t, nil
}

func chooseListener(all []configs.Listener, name string) (configs.Listener, error) {
	if name == "" {
		return all[0], nil
	}
	var names []string
	for _, l := range all {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	hint := "there is " + strings.Join(names, ", ")
	if near := configs.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return configs.Listener{}, fmt.Errorf("the configuration has no listener %q: %s", name, hint)
}

// Close gives back what the trial holds.
func (t *Trial) Close() error {
	err := t.chain.Close()
	if closed := t.host.Close(); err == nil {
		err = closed
	}
	return err
}

// Local returns the address that clients of the listener connect to, as far as
// the configuration tells.
func (t *Trial) Local() netip.AddrPort {
	at, err := netip.ParseAddrPort(t.Listener.Address)
	if err != nil || at.Addr().IsUnspecified() {
		return netip.AddrPort{}
	}
	return at
}

// Play plays an imagined session through the listener.
func (t *Trial) Play(s *trial.Session) (*trial.Account, error) {
	account, err := t.play(s)
	if err != nil {
		return nil, t.cfg.Explain(err)
	}
	account.Unasked = t.unasked.Names()
	return account, nil
}

func (t *Trial) play(s *trial.Session) (*trial.Account, error) {
	part := t.chain.For(t.Listener.Name)
	if t.Listener.Mode != configs.MTA {
		return trial.ThroughRelay(t.relay(part), s)
	}
	if err := part.Fits(milter.Offers); err != nil {
		return nil, err
	}
	return trial.ThroughMilter(trial.Milter{Name: t.Listener.Name, Hostname: t.Listener.Hostname, Chain: part}, s), nil
}

// Talk lets somebody talk to the listener, which must be a relay: see
// trial.Talk.
func (t *Trial) Talk(s *trial.Session, in io.Reader, out io.Writer) error {
	if t.Listener.Mode == configs.MTA {
		return fmt.Errorf("listener %s is a milter, which speaks no SMTP: choose a relay with --listener, or leave out -i", t.Listener.Name)
	}
	return t.cfg.Explain(trial.Talk(t.relay(t.chain.For(t.Listener.Name)), s, in, out))
}

func (t *Trial) relay(c *chain.Chain) relay.Options {
	return relayOptions(t.Listener, c, t.log)
}

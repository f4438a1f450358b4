package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Filter mail as the configuration says",
		Long: `Serve opens the configured listeners and relays what the chain lets pass.

On SIGHUP it loads the configuration again, and with watch: true also when a file
that it was read from has changed. If anything is wrong with it the old one stays
in force, and the log says why. Sessions under way end as they began.

On SIGTERM or SIGINT it accepts no more clients, ends idle sessions with 421, and
gives transactions the time of drain_timeout. A second signal ends it at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			s, err := start(cmd)
			if err != nil {
				return err
			}
			s.hangup = hangup
			return fail(s.run())
		},
	}
	configFlags(cmd)
	return cmd
}

// service is mailweir as it serves.
type service struct {
	cmd    *cobra.Command  // whose flags name the configuration, to load it again
	config *configs.Config // in force
	level  slog.LevelVar   // of the log
	log    *slog.Logger
	server *proxy.Server
	hangup chan os.Signal // nil if the configuration is none that can be loaded again
}

// start opens all that the configuration of the command asks for.
func start(cmd *cobra.Command) (*service, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, err
	}
	s := &service{cmd: cmd, config: c}
	s.level.Set(c.Log.Level.Slog())
	s.log = newLoggerFrom(cmd.ErrOrStderr(), c.Log.Format, &s.level)
	if s.server, err = proxy.New(c, s.log); err != nil {
		return nil, fail(err)
	}
	return s, fail(s.server.Listen())
}

// run serves until it is told to stop.
func (s *service) run() error {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)
	served := make(chan error, 1)
	go func() { served <- s.server.Serve() }()
	for {
		select {
		case err := <-served:
			return err
		case <-s.hangup:
			s.reload()
		case <-s.server.Changed():
			s.reload()
		case signal := <-stop:
			s.log.Info("stopping", "signal", signal.String(), "drain_timeout", s.config.DrainTimeout.String())
			return s.end(stop)
		}
	}
}

// reload loads the configuration again. The server tells what came of it.
func (s *service) reload() {
	var c *configs.Config
	err := s.server.Reload(func() (_ *configs.Config, err error) {
		if c, err = readConfig(s.cmd); err != nil {
			return nil, err
		}
		for _, warning := range c.Warnings {
			s.log.Warn("the configuration has something that looks like a mistake", "warning", warning)
		}
		return c, nil
	})
	if err == nil {
		s.config = c
		s.level.Set(c.Log.Level.Slog())
	}
}

// end ends all sessions, and at once when there is another signal.
func (s *service) end(stop <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.DrainTimeout)
	defer cancel()
	go func() {
		select {
		case <-stop:
			s.log.Info("stopping at once")
			cancel()
		case <-ctx.Done():
		}
	}()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		s.log.Warn("sessions were cut off")
		err = nil
	}
	s.log.Info("stopped")
	return err
}

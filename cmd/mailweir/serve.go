package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/proxy/privileges"
	"github.com/mailweir/mailweir/proxy/systemd"
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
gives transactions the time of drain_timeout. A second signal ends it at once.

When root starts it and the configuration has a user, it opens its sockets and
becomes that user. It takes sockets that systemd passes, by the names of the
listeners, and tells systemd how it is.

With reuse_port: true a new mailweir can follow an old one without a break:
mailweir serve --take-over PID stops the process PID when it is ready itself.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more stops no mail
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
	cmd.Flags().Int(takeOverFlag, 0, "stop the mailweir that is process `PID` when this one is ready")
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
	notify systemd.Notifier
	former int // process that is to be stopped, 0 for none
}

// start opens all that the configuration of the command asks for.
func start(cmd *cobra.Command) (*service, error) {
	sockets, err := systemd.Sockets()
	if err != nil {
		return nil, fail(err)
	}
	c, err := readConfig(cmd)
	if err != nil {
		return nil, fail(err)
	}
	s := &service{cmd: cmd, config: c, notify: systemd.NewNotifier()}
	s.level.Set(c.Log.Level.Slog())
	s.log = newLoggerFrom(newLogWriter(cmd.ErrOrStderr()), c.Log.Format, &s.level)
	if s.former, err = formerProcess(cmd); err != nil {
		return nil, fail(err)
	}
	if err := s.becomeUser(sockets); err != nil {
		return nil, fail(err)
	}
	warnOf(cmd, c)
	s.warnOfSpool()
	s.warnOfFiles()
	s.useProcessors()
	if s.server, err = proxy.New(c, s.log); err != nil {
		return nil, fail(err)
	}
	s.server.Take(sockets)
	return s, fail(s.server.Listen())
}

// run serves until it is told to stop.
func (s *service) run() error {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)
	served := make(chan error, 1)
	go func() { served <- s.server.Serve() }()
	defer s.report()()
	s.log.Info("serving", "version", s.config.Version, "user", privileges.Current(), "process", os.Getpid(), "processors", runtime.GOMAXPROCS(0))
	s.takeOver()
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
			s.tell(systemd.Stopping, s.status("ending"), systemd.ExtendTimeout(s.config.DrainTimeout+stopMargin))
			return s.end(stop)
		}
	}
}

// reload loads the configuration again. The server tells what came of it.
func (s *service) reload() {
	var c *configs.Config
	s.tell(systemd.Reloading())
	err := s.server.Reload(func() (_ *configs.Config, err error) {
		if c, err = readConfig(s.cmd); err != nil {
			return nil, err
		}
		for _, warning := range c.Warnings {
			s.log.Warn("the configuration has something that looks like a mistake", "warning", warning)
		}
		return c, nil
	})
	if err != nil {
		s.tell(systemd.Ready, s.status("the configuration could not be loaded again, see the log; the old one is in force"))
		return
	}
	s.config = c
	s.useProcessors()
	s.level.Set(c.Log.Level.Slog())
	s.warnOfFiles()
	s.tell(systemd.Ready, s.status(""))
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

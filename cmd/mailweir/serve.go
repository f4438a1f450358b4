package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/proxy"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Filter mail as the configuration says",
		Long: `Serve opens the configured listeners and relays what the chain lets pass.

On SIGTERM or SIGINT it accepts no more clients, ends idle sessions with 421, and
gives transactions the time of drain_timeout. A second signal ends it at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			log := newLogger(cmd.ErrOrStderr(), c.Log)
			server, err := proxy.New(c, log)
			if err != nil {
				return fail(err)
			}
			if err := server.Listen(); err != nil {
				return fail(err)
			}
			return fail(serveUntilSignal(server, log, c.DrainTimeout))
		},
	}
	configFlags(cmd)
	return cmd
}

// serveUntilSignal runs the server until it is told to stop.
func serveUntilSignal(server *proxy.Server, log *slog.Logger, drain time.Duration) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	select {
	case err := <-served:
		return err
	case s := <-signals:
		log.Info("stopping", "signal", s.String(), "drain_timeout", drain.String())
	}
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	go func() {
		<-signals
		log.Info("stopping at once")
		cancel()
	}()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		log.Warn("sessions were cut off")
		err = nil
	}
	log.Info("stopped")
	return err
}

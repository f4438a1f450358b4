package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

// defaultFile is the configuration that is read unless --config names another.
const defaultFile = "/etc/mailweir/mailweir.yaml"

// configFlags gives a command the flags by which loadConfig finds the
// configuration.
func configFlags(cmd *cobra.Command) {
	cmd.Flags().StringP("config", "c", defaultFile, "configuration `file`")
	configs.Flags(cmd.Flags())
}

// loadConfig reads the configuration that the command's flags name, and tells
// of its warnings on standard error. Its error lists all problems and makes
// the exit code 1.
func loadConfig(cmd *cobra.Command) (*configs.Config, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	c, err := configs.Load(standard.Kinds(), configs.Source{File: file, Flags: cmd.Flags()})
	if err != nil {
		return nil, fail(err)
	}
	c.Version = versionText()
	for _, warning := range c.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
	}
	return c, nil
}

// newLogger returns the operator's log as the configuration wants it.
func newLogger(w io.Writer, log configs.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: log.Level.Slog()}
	if log.Format == configs.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

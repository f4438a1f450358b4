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
	c, err := readConfig(cmd)
	if err != nil {
		return nil, fail(err)
	}
	warnOf(cmd, c)
	return c, nil
}

// warnOf tells of the configuration's warnings on standard error.
func warnOf(cmd *cobra.Command, c *configs.Config) {
	for _, warning := range c.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
	}
}

// readConfig is loadConfig for those who tell of warnings and problems in their
// own way. Its error is a configs.Problems.
func readConfig(cmd *cobra.Command) (*configs.Config, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	c, err := configs.Load(standard.Kinds(), configs.Source{File: file, Flags: cmd.Flags()})
	if err != nil {
		return nil, err
	}
	c.Version = versionText()
	return c, nil
}

// newLogger returns the operator's log as the configuration wants it.
func newLogger(w io.Writer, log configs.Log) *slog.Logger {
	return newLoggerFrom(w, log.Format, log.Level.Slog())
}

// newLoggerFrom returns the operator's log, from a level on that may change.
func newLoggerFrom(w io.Writer, format configs.Format, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == configs.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration without using it",
		Long: `Check reads the configuration whole, makes the filters and opens the files they
name, but no sockets and not the state file, and it asks no name server. It prints
all problems and exits with 1 if there are any.

With --diff it prints what would change if this configuration took the place of
that one: of the settings as they are in force, with defaults, not of the texts.
What a reload cannot change is marked.

With --probe it connects to each upstream besides, as often as it takes, and prints
how that greets, its TLS and keywords, whether it takes from us who the client is,
and whether it would relay mail to elsewhere for a client that nobody knows, which
it must not. No message is sent. It exits with 1 if an upstream cannot be used, or
would relay.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if err := proxy.Check(c, newLogger(cmd.ErrOrStderr(), c.Log)); err != nil {
				return fail(err)
			}
			file, _ := cmd.Flags().GetString("config")
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s, %s\n", file,
				count(len(c.Listeners), "listener"), count(len(c.Chain), "filter"))
			if old, _ := cmd.Flags().GetString("diff"); old != "" {
				if err := printDiff(cmd, old, c); err != nil {
					return err
				}
			}
			if wanted, _ := cmd.Flags().GetBool("probe"); wanted {
				return probe(cmd, c)
			}
			return nil
		},
	}
	configFlags(cmd)
	cmd.Flags().String("diff", "", "configuration `file` in force, to print what would change")
	cmd.Flags().Bool("probe", false, "connect to the upstreams, to print how they take sessions")
	return cmd
}

// printDiff prints what changes between the configuration of that file and c.
func printDiff(cmd *cobra.Command, file string, c *configs.Config) error {
	old, err := configs.Load(standard.Kinds(), configs.Source{File: file, Flags: cmd.Flags()})
	if err != nil {
		return fail(err)
	}
	changes := configs.Diff(old, c)
	if len(changes) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "no change")
	}
	for _, change := range changes {
		restart := ""
		if change.Restart {
			restart = " (needs a restart)"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s%s\n", change, restart)
	}
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

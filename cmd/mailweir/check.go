package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/proxy"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration without using it",
		Long: `Check reads the configuration whole, makes the filters and opens the files they
name, but no sockets and not the state file, and it asks no name server. It prints
all problems and exits with 1 if there are any.`,
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
			return nil
		},
	}
	configFlags(cmd)
	return cmd
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [rules]",
		Short: "Print the JSON Schema of the configuration, or of rule files",
		Long: `Schema prints the JSON Schema (draft 2020-12) of the configuration file, or of
rule files, by which editors complete and check what is written.`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"rules"},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := configs.Schema
			switch {
			case len(args) > 0 && args[0] != "rules":
				return fmt.Errorf("there is no schema %q: write rules, or nothing for the configuration", args[0])
			case len(args) > 0:
				text = configs.RulesSchema
			}
			_, err := cmd.OutOrStdout().Write(text(standard.Kinds()))
			return fail(err)
		},
	}
}

package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/standard"
)

func newFilters() *cobra.Command {
	return &cobra.Command{
		Use:   "filters [KIND]",
		Short: "List the kinds of filters, or print the manual of one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listKinds(cmd.OutOrStdout())
			}
			kind, ok := standard.Find(args[0])
			if !ok {
				return unknownKind(args[0])
			}
			return printManual(cmd.OutOrStdout(), kind)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return kindNames(), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func kindNames() []string {
	var names []string
	for _, k := range standard.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

func unknownKind(name string) error {
	hint := "see 'mailweir filters'"
	if near := configs.Nearest(name, kindNames()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return fmt.Errorf("unknown kind of filter %q; %s", name, hint)
}

func listKinds(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range standard.Kinds() {
		fmt.Fprintf(table, "%s\t%s\n", k.Name, configs.Summary(k))
	}
	return table.Flush()
}

// printManual prints all there is to know about a kind.
func printManual(w io.Writer, k filters.Kind) error {
	fmt.Fprintf(w, "%s\n\n%s\n\n", strings.ToUpper(k.Name), strings.TrimSpace(k.Doc))
	if stages := stagesOf(k); stages != 0 {
		fmt.Fprintf(w, "Stages: %s\n", stages)
	}
	if k.Needs != 0 {
		fmt.Fprintf(w, "Needs: %s\n", k.Needs)
	}
	if k.Timeout != 0 {
		fmt.Fprintf(w, "Timeout: %s\n", k.Timeout)
	}
	printFacts(w, "Sets", k.Sets)
	printFacts(w, "Reads", k.Reads)
	fmt.Fprintln(w, "\nOptions:")
	for _, o := range configs.Options(k.Conf()) {
		value := "default " + o.Default
		if o.Required {
			value = "required"
		}
		fmt.Fprintf(w, "\n    %s (%s; %s)\n", o.Name, o.Type, value)
		for _, line := range configs.Wrap(o.Doc, 72) {
			fmt.Fprintf(w, "        %s\n", line)
		}
	}
	return nil
}

func printFacts(w io.Writer, title string, facts []filters.FactInfo) {
	for _, f := range facts {
		fmt.Fprintf(w, "%s: %s, %s\n", title, f.Name, f.Doc)
	}
}

// stagesOf returns the stages at which a filter of the kind is asked, as its
// defaults make one; none when they make none.
func stagesOf(k filters.Kind) filters.Stages {
	env := filters.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	f, err := k.New(env, k.Conf())
	if err != nil {
		return 0
	}
	if c, ok := f.(io.Closer); ok {
		defer c.Close()
	}
	return filters.StagesOf(f)
}

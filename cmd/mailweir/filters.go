package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/env"
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
	if k.Observe {
		fmt.Fprintln(w, "Action: ignore, unless the entry spells another")
	}
	if k.Lenient {
		fmt.Fprintln(w, "On error: continue, unless the entry spells another")
	}
	printFacts(w, "Sets", k.Sets)
	printFacts(w, "Reads", k.Reads)
	fmt.Fprintln(w, "\nOptions:")
	printOptions(w, "    ", configs.Options(k.Conf()))
	return nil
}

// printOptions prints options, and below each the keys of its maps.
func printOptions(w io.Writer, indent string, options []configs.Option) {
	for _, o := range options {
		fmt.Fprintln(w)
		inner := indent + "    "
		printWrapped(w, indent, inner, fmt.Sprintf("%s (%s; %s)", o.Name, o.Type, defaultOf(o)))
		printWrapped(w, inner, inner, o.Doc)
		printOptions(w, inner, o.Keys)
	}
}

// manualWidth is the longest line of what is wrapped.
const manualWidth = 80

// printWrapped prints a text with an indent for its first line and one for the
// rest.
func printWrapped(w io.Writer, first, rest, text string) {
	indent := first
	for _, line := range configs.Wrap(text, manualWidth-len(rest)) {
		fmt.Fprintln(w, indent+line)
		indent = rest
	}
}

// defaultOf says what an option is without being given.
func defaultOf(o configs.Option) string {
	switch {
	case o.Required:
		return "required"
	case o.Default == "null":
		return "optional"
	}
	return "default " + o.Default
}

func printFacts(w io.Writer, title string, facts []filters.FactInfo) {
	for _, f := range facts {
		printWrapped(w, "", "    ", fmt.Sprintf("%s: %s, %s", title, f.Name, f.Doc))
	}
}

// stagesOf returns the stages at which a filter of the kind is asked, as its
// defaults make one; none when they make none.
func stagesOf(k filters.Kind) filters.Stages {
	host, err := env.Open(env.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0
	}
	defer host.Close()
	f, err := k.New(host.Env(), k.Conf())
	if err != nil {
		return 0
	}
	if c, ok := f.(io.Closer); ok {
		defer c.Close()
	}
	return filters.StagesOf(f)
}

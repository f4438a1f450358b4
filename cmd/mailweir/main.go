// Mailweir is an SMTP proxy that filters: it stands before an MTA, asks a chain
// of filters about each command and message, and relays what they let pass.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2 // the command line makes no sense
)

// run executes one command line and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	var failed *failure
	if errors.As(err, &failed) {
		fmt.Fprintln(stderr, failed.err)
		return exitError
	}
	fmt.Fprintf(stderr, "mailweir: %v\nTry 'mailweir --help'.\n", err)
	return exitUsage
}

// failure is an error of the work that was asked for. All other errors are
// about the command line.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail marks an error as one of the work, not of the command line.
func fail(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}

// exitCode is how work ended that went as it should: the exit code says it, and
// there is nothing more to tell.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "mailweir",
		Short:         "A filtering SMTP proxy",
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newServe(), newDemo(), newCheck(), newFilters(), newDNSBL(), newTry(), newTest(), newSchema(), newVersion())
	return root
}

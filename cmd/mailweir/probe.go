package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy"
)

// probe connects to the upstreams and prints what they are like. The exit code
// says whether something is wrong.
func probe(cmd *cobra.Command, c *configs.Config) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	reports, err := proxy.Probe(ctx, c)
	if err != nil {
		return fail(err)
	}
	bad := false
	for i := range reports {
		printReport(cmd.OutOrStdout(), &reports[i])
		bad = bad || reports[i].Bad()
	}
	if bad {
		return exitCode(exitError)
	}
	return nil
}

// printReport prints what was found out about one upstream. What that says may
// be written by anybody: nothing of it reaches a terminal as a command.
func printReport(w io.Writer, r *proxy.Report) {
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %-10s%s\n", what, printable(text))
		}
	}
	fmt.Fprintf(w, "upstream %s", printable(r.Group))
	if r.Server != "" {
		fmt.Fprintf(w, " at %s", printable(r.Server))
	}
	fmt.Fprintln(w)
	line("greeting", r.Greeting)
	line("tls", encryption(r))
	line("keywords", strings.Join(r.Keywords, ", "))
	if r.Greeting != "" {
		line("identity", r.Identity.String()+taken(r))
	}
	line("relaying", relaying(r))
	line("advice", r.Advice)
	if r.Error != nil {
		line("error", r.Error.Error())
	}
}

// taken says whether the server takes the identity that is told.
func taken(r *proxy.Report) string {
	switch {
	case !r.Identity.Told():
		return ""
	case r.Taken:
		return ": taken"
	}
	return ": not taken"
}

// encryption says how the connection is encrypted, and what the certificate is.
func encryption(r *proxy.Report) string {
	if r.TLS == nil {
		if r.TLSError != nil {
			return "none: " + r.TLSError.Error()
		}
		return ""
	}
	text := fmt.Sprintf("%s, %s, certificate of %s until %s", r.TLS.Version, r.TLS.Cipher,
		strings.Join(r.TLS.Names, ", "), r.TLS.NotAfter.UTC().Format(time.DateOnly))
	switch {
	case r.TLSError != nil:
		return text + "; none after all: " + r.TLSError.Error()
	case r.TLS.Verified:
		return text + ", verified"
	}
	return text + ", not verified"
}

// relaying says whether the server sends anywhere for whoever reaches us.
func relaying(r *proxy.Report) string {
	switch {
	case r.Relay.Open():
		return "OPEN RELAY BY TRUST: whoever reaches mailweir may send anywhere through this upstream; it answers " + r.Reply
	case r.Reply == "":
		return ""
	}
	return r.Relay.String() + ": " + r.Reply
}

// printable makes what could move a cursor, or hide, a question mark.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, text)
}

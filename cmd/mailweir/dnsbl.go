package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/dnsbl"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
)

func newDNSBL() *cobra.Command {
	var q dnsblQuestion
	cmd := &cobra.Command{
		Use:   "dnsbl [ADDRESS]",
		Short: "Ask the DNS lists about a client, or test the lists",
		Long: `Dnsbl asks the lists of the configuration's dnsbl entries about a client address,
with --helo and --from also about the domain that it greets with and that of the
sender. It shows what each list answers, what that means and counts, how long it
took, and what would come of it.

With --health it makes the self-tests of the lists, and exits with 1 if a list
does not pass.

With --zone it asks those lists, by their names or those of presets, in place of
the configuration's: no configuration is needed then.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.read(args); err != nil {
				return err
			}
			cfg, entries, err := q.entries(cmd)
			if err != nil {
				return err
			}
			host, err := proxy.OpenHost(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				return fail(err)
			}
			defer host.Close()
			return fail(q.answer(cmd.Context(), cmd.OutOrStdout(), host.Env(), entries))
		},
	}
	configFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.helo, "helo", "", "the `name` that the client greets with")
	flags.StringVar(&q.from, "from", "", "the sender's `address`")
	flags.StringArrayVar(&q.zones, "zone", nil, "a `list` to ask in place of the configuration's; may be repeated")
	flags.IntVar(&q.threshold, "threshold", 0, "the `score` from which a client is refused, in place of the configuration's")
	flags.BoolVar(&q.health, "health", false, "make the self-tests of the lists")
	return cmd
}

// dnsblQuestion is what the command line asks.
type dnsblQuestion struct {
	client    netip.Addr
	helo      string
	from      string
	zones     []string
	threshold int
	health    bool
}

func (q *dnsblQuestion) read(args []string) error {
	if len(args) > 0 {
		var err error
		if q.client, err = netip.ParseAddr(args[0]); err != nil {
			return fmt.Errorf("%q is no address: write one such as 192.0.2.1 or 2001:db8::1", args[0])
		}
	}
	if !q.health && len(args) == 0 && q.helo == "" && q.from == "" {
		return errors.New("name the ADDRESS of a client, or --helo or --from, or write --health")
	}
	return nil
}

// dnsblEntry is an entry of the chain.
type dnsblEntry struct {
	title   string
	conf    dnsbl.Config
	timeout time.Duration
}

// entries returns the entries to ask: those of the configuration, or one of the
// lists that the command line names.
func (q *dnsblQuestion) entries(cmd *cobra.Command) (*configs.Config, []dnsblEntry, error) {
	if len(q.zones) > 0 && !cmd.Flags().Changed("config") {
		cfg, err := configs.Parse(standard.Kinds(), "default.yaml", configs.Default())
		if err != nil {
			return nil, nil, fail(err)
		}
		return cfg, []dnsblEntry{q.entry()}, nil
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, nil, err
	}
	if len(q.zones) > 0 {
		return cfg, []dnsblEntry{q.entry()}, nil
	}
	var entries []dnsblEntry
	for _, e := range cfg.Chain {
		if conf, ok := e.Conf.(*dnsbl.Config); ok {
			entries = append(entries, dnsblEntry{e.Name + " (" + e.Pos + ")", *conf, cmp.Or(e.Timeout, e.Kind.Timeout)})
		}
	}
	if len(entries) == 0 {
		return nil, nil, fail(errors.New("the chain has no dnsbl entry: name a list with --zone, such as --zone zen"))
	}
	return cfg, entries, nil
}

// entry is one with the lists of the command line.
func (q *dnsblQuestion) entry() dnsblEntry {
	conf := dnsbl.Kind.Conf().(*dnsbl.Config)
	conf.Exempt = nil
	for _, name := range q.zones {
		var z dnsbl.Zone
		z.SetDefaults()
		z.Zone = name
		conf.Zones = append(conf.Zones, z)
	}
	return dnsblEntry{"", *conf, dnsbl.Kind.Timeout}
}

func (q *dnsblQuestion) answer(ctx context.Context, w io.Writer, env filters.Env, entries []dnsblEntry) error {
	var errs []error
	for i, e := range entries {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if len(entries) > 1 {
			fmt.Fprintln(w, e.title)
		}
		if q.threshold != 0 {
			e.conf.Threshold = q.threshold
		}
		env.Timeout = e.timeout
		if q.health {
			errs = append(errs, tellHealth(ctx, w, env, &e.conf))
		} else {
			errs = append(errs, q.tellReport(ctx, w, env, &e.conf))
		}
	}
	return errors.Join(errs...)
}

// tellReport prints what the lists say, and what comes of it.
func (q *dnsblQuestion) tellReport(ctx context.Context, w io.Writer, env filters.Env, conf *dnsbl.Config) error {
	ctx, cancel := context.WithTimeout(ctx, env.Timeout)
	defer cancel()
	out, err := dnsbl.Report(ctx, env, conf, dnsbl.Subject{Client: q.client, Helo: q.helo, Sender: q.from})
	if err != nil {
		return err
	}
	if out.Exempt {
		fmt.Fprintf(w, "%s is exempt: no list is asked about it\n", q.client)
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LIST\tASKED ABOUT\tANSWER\tWEIGHT\tTIME\tMEANING")
	for _, z := range out.Zones {
		fmt.Fprintf(table, "%s\t%s %s\t%s\t%d\t%s\t%s\n", z.Zone, z.Check, z.Subject, answerText(z), z.Weight, tookText(z), meaningText(z))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if !out.Refused {
		fmt.Fprintf(w, "score %d, below the threshold of %d: not refused\n", out.Score, out.Threshold)
		return nil
	}
	fmt.Fprintf(w, "score %d, threshold %d: refused if the entry is enforced\nreply: %s\n", out.Score, out.Threshold, out.Reply)
	return nil
}

func answerText(z dnsbl.ZoneReport) string {
	switch {
	case len(z.Answers) > 0:
		words := make([]string, len(z.Answers))
		for i, a := range z.Answers {
			words[i] = a.String()
		}
		return strings.Join(words, ",")
	case z.State == dnsbl.Clean:
		return "not listed"
	}
	return string(z.State)
}

// meaningText is what the answer means, or why it does not count.
func meaningText(z dnsbl.ZoneReport) string {
	switch {
	case z.Cause != "":
		return "does not count: " + z.Cause
	case z.Text != "":
		return z.Meaning + ": " + z.Text
	}
	return z.Meaning
}

func tookText(z dnsbl.ZoneReport) string {
	if z.Cached {
		return "cached"
	}
	return roundTime(z.Took)
}

func roundTime(d time.Duration) string {
	if d > 10*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

var errUnhealthy = errors.New("a list that does not pass its self-test counts nothing until it does")

// tellHealth prints the self-tests, each list with its questions.
func tellHealth(ctx context.Context, w io.Writer, env filters.Env, conf *dnsbl.Config) error {
	lists, err := dnsbl.Health(ctx, env, conf)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lists {
		result := "ok"
		switch {
		case !l.OK:
			result, err = "FAILED: "+l.Cause, errUnhealthy
		case l.Off:
			result = "answers (self_test is off)"
		}
		fmt.Fprintf(table, "%s, %s: %s\n", l.Zone, l.About, result)
		for _, p := range l.Probes {
			fmt.Fprintf(table, "  %s\twant %s\tgot %s\t%s\n", p.Subject, p.Want, p.Got, roundTime(p.Took))
		}
	}
	return errors.Join(table.Flush(), err)
}

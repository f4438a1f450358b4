package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/trial"
)

// The exit codes of try.
const (
	exitRefused   exitCode = 3 // for good, by one recipient at least
	exitTempFail  exitCode = 4 // for now, by one recipient at least
	exitDiscarded exitCode = 5
)

func newTry() *cobra.Command {
	var q tryQuestion
	cmd := &cobra.Command{
		Use:   "try",
		Short: "Play an imagined session through the chain",
		Long: `Try plays one imagined SMTP session through a listener and its chain. It prints
what client and server say, each filter that is asked with what it finds and the
time it takes, what was learnt, and what becomes of the message.

Nothing is delivered: the upstream is imagined, and takes everything. Nothing is
remembered. Without --live the DNS is not asked, so that filters which need it
cannot decide, and on_error does; those are marked.

With -i the session is talked on the terminal, as the client that --client names.
Records of the log go to standard error.

Exit codes: 0 all recipients accept, 3 one refuses for good, 4 one refuses for
now, 5 the message is discarded; 1 for other errors, 2 for a wrong command line.`,
		Example: `  mailweir try --client 192.0.2.1 --helo mx.example.org --from a@example.org --to b@example.com
  mailweir try --client 192.0.2.1 --helo mx.example.org --from '<>' --to b@example.com --message mail.eml --live
  mailweir try -i --client 192.0.2.1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := q.read(cmd); err != nil {
				return err
			}
			return q.answer(cmd)
		},
	}
	configFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.client, "client", "", "the client's `address`, with or without a port")
	flags.StringVar(&q.local, "local", "", "the `address` that it connects to; by default the listener's")
	flags.StringVar(&q.session.Helo, "helo", "", "the `name` that it says in EHLO")
	flags.StringVar(&q.from, "from", "", "the sender's `address`, <> for none")
	flags.StringArrayVar(&q.to, "to", nil, "a recipient's `address`; may be repeated")
	flags.StringVar(&q.message, "message", "", "a `file` with the message, - for standard input; by default one is imagined")
	flags.StringVar(&q.listener, "listener", "", "the `name` of the listener; by default the first")
	flags.BoolVar(&q.live, "live", false, "ask the DNS")
	flags.BoolVarP(&q.verbose, "verbose", "v", false, "show the rules that do not match, too")
	flags.BoolVar(&q.json, "json", false, "print JSON")
	flags.BoolVarP(&q.talk, "interactive", "i", false, "talk SMTP on the terminal")
	return cmd
}

// tryQuestion is what the command line asks.
type tryQuestion struct {
	client, local string
	from          string
	to            []string
	message       string
	listener      string
	live, json    bool
	verbose       bool
	talk          bool
	session       trial.Session
}

// read makes a session of the flags.
func (q *tryQuestion) read(cmd *cobra.Command) (err error) {
	if err := q.complete(cmd); err != nil {
		return err
	}
	if q.session.Client, err = endpoint("client", q.client, clientPort); err != nil {
		return err
	}
	if q.local != "" {
		if q.session.Local, err = endpoint("local", q.local, smtpPort); err != nil {
			return err
		}
	}
	if q.talk {
		return nil
	}
	if strings.ContainsAny(q.session.Helo, "\r\n\x00") {
		return errors.New("--helo: it must be one line")
	}
	if q.session.From, err = reversePath(q.from); err != nil {
		return err
	}
	for _, to := range q.to {
		path, err := forwardPath(to)
		if err != nil {
			return err
		}
		q.session.To = append(q.session.To, path)
	}
	return nil
}

// ofScript are the flags that tell what the client says.
var ofScript = []string{"helo", "from", "to", "message", "json"}

// complete holds the flags to each other.
func (q *tryQuestion) complete(cmd *cobra.Command) error {
	needed := []string{"client", "helo", "from", "to"}
	if q.talk {
		needed = needed[:1]
		for _, name := range ofScript {
			if cmd.Flags().Changed(name) {
				return fmt.Errorf("--%s has no place with -i: say it yourself", name)
			}
		}
	}
	var missing []string
	for _, name := range needed {
		if !cmd.Flags().Changed(name) {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("tell who is imagined: %s missing, as in --client 192.0.2.1 --helo mx.example.org --from a@example.org --to b@example.com", strings.Join(missing, ", "))
	}
	return nil
}

// The ports of an imagined connection.
const (
	clientPort = 49152 // the first of those that are nobody's (RFC 6335 section 6)
	smtpPort   = 25
)

func endpoint(flag, text string, port uint16) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at, nil
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--%s: %q is no address: write one such as 192.0.2.1, 192.0.2.1:2525 or 2001:db8::1", flag, text)
	}
	return netip.AddrPortFrom(addr, port), nil
}

func inBrackets(address string) string {
	if strings.HasPrefix(address, "<") {
		return address
	}
	return "<" + address + ">"
}

func reversePath(address string) (string, error) {
	var p filters.Path
	path := inBrackets(address)
	if smtp.ParseMail([]byte("FROM:"+path+" SMTPUTF8"), &p, new(smtp.Arena)) != nil || p.Params != "SMTPUTF8" {
		return "", fmt.Errorf("--from: %q is no mail address: write one such as alice@example.org, or <> for a notification", address)
	}
	return path, nil
}

func forwardPath(address string) (string, error) {
	var p filters.Path
	path := inBrackets(address)
	if smtp.ParseRcpt([]byte("TO:"+path), true, &p, new(smtp.Arena)) != nil || p.Params != "" {
		return "", fmt.Errorf("--to: %q is no mail address: write one such as bob@example.com", address)
	}
	return path, nil
}

// answer plays the session, or lets it be talked.
func (q *tryQuestion) answer(cmd *cobra.Command) error {
	if err := q.readMessage(cmd.InOrStdin()); err != nil {
		return fail(err)
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if q.talk {
		log = newLogger(cmd.ErrOrStderr(), cfg.Log)
	}
	t, err := proxy.NewTrial(cfg, q.listener, q.live, log)
	if err != nil {
		return fail(err)
	}
	defer t.Close()
	if !q.session.Local.IsValid() {
		q.session.Local = t.Local()
	}
	if q.listener == "" && len(cfg.Listeners) > 1 {
		fmt.Fprintf(cmd.ErrOrStderr(), "listener %s, the first of %d: choose with --listener\n", t.Listener.Name, len(cfg.Listeners))
	}
	if q.talk {
		return fail(q.talkTo(cmd, t))
	}
	account, err := t.Play(&q.session)
	if err != nil {
		return fail(err)
	}
	p := tryPrinter{cmd.OutOrStdout(), t, q, account}
	if q.json {
		err = p.printJSON()
	} else {
		err = p.printText()
	}
	if err != nil {
		return fail(err)
	}
	return tryCode(account)
}

// maxTryMessage bounds the message that is read, in octets.
const maxTryMessage = 256 << 20

func (q *tryQuestion) readMessage(stdin io.Reader) error {
	if q.talk {
		return nil
	}
	if q.message == "" {
		q.session.Message = imaginedMessage(&q.session)
		return nil
	}
	from := stdin
	if q.message != "-" {
		f, err := os.Open(q.message)
		if err != nil {
			return fmt.Errorf("--message: %w", err)
		}
		defer f.Close()
		from = f
	}
	content, err := io.ReadAll(io.LimitReader(from, maxTryMessage+1))
	switch {
	case err != nil:
		return fmt.Errorf("--message: %w", err)
	case len(content) > maxTryMessage:
		return fmt.Errorf("--message: it is greater than %v", filters.Bytes(maxTryMessage))
	}
	q.session.Message = content
	return nil
}

// imaginedMessage is as short as a message can well be.
func imaginedMessage(s *trial.Session) []byte {
	from := s.From
	if from == "<>" {
		from = "<MAILER-DAEMON@" + s.Client.Addr().String() + ">"
	}
	return fmt.Appendf(nil, "Date: %s\nFrom: %s\nTo: %s\nSubject: Imagined\nMessage-ID: <imagined@mailweir.invalid>\n\nThis message is imagined.\n",
		time.Now().Format(time.RFC1123Z), from, strings.Join(s.To, ", "))
}

func (q *tryQuestion) talkTo(cmd *cobra.Command, t *proxy.Trial) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "Talk SMTP as client %s of listener %s. The upstream is imagined: nothing is delivered%s. QUIT ends.\n",
		q.session.Client, t.Listener.Name, map[bool]string{false: ", and the DNS is not asked without --live"}[q.live])
	return t.Talk(&q.session, cmd.InOrStdin(), cmd.OutOrStdout())
}

// tryCode is the exit code for what came of a session.
func tryCode(a *trial.Account) error {
	ends := map[trial.End]bool{a.End: true}
	for _, r := range a.Recipients {
		ends[r.End] = true
	}
	switch {
	case ends[trial.Refused]:
		return exitRefused
	case ends[trial.TempFailed]:
		return exitTempFail
	case ends[trial.Discarded]:
		return exitDiscarded
	}
	return nil
}

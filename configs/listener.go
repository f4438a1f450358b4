package configs

import (
	"time"
)

// Listener is one address: of a relay, which clients connect to, with the
// upstream behind it; or of a milter, which MTAs connect to.
type Listener struct {
	Name     string   `yaml:"name" required:"true" doc:"what the listener is called in the log and in the chain; unique"`
	Address  string   `yaml:"address" required:"true" format:"socket" doc:"where to listen: host:port, or :port for all addresses of the machine; in mode milter unix:/path, inet:host:port or inet6:host:port"`
	Mode     Mode     `yaml:"mode" doc:"relay: pass the dialogue on to the upstream, command by command; milter: be asked by Postfix or Sendmail over the milter protocol"`
	Hostname string   `yaml:"hostname" format:"host" doc:"our own name on this listener, empty for the global hostname"`
	Upstream Upstream `yaml:"upstream" doc:"the MTA behind this listener; a milter has none"`

	BareNewline Strictness `yaml:"bare_newline" doc:"a CR or LF that stands alone in message text: reject the message, or normalize it to CRLF"`
	NUL         Strictness `yaml:"nul" doc:"a NUL octet in message text: reject the message, or normalize by taking it out"`

	RelayVerbs   []string `yaml:"relay_verbs" doc:"verbs to relay besides the standard ones, such as SEND, TURN, ATRN, or private ones of the upstream; other verbs are answered with 500"`
	PassKeywords []string `yaml:"pass_keywords" doc:"EHLO keywords of the upstream to offer to clients besides those that mailweir knows"`

	Errors      int      `yaml:"errors" min:"1" max:"1000000" doc:"after so many errors without a delivered message between them the session is ended with 421"`
	CommandLine int      `yaml:"command_line" min:"512" max:"65536" doc:"longest command line in octets, CRLF included (RFC 5321 section 4.5.3.1.4)"`
	Timeouts    Timeouts `yaml:"timeouts" doc:"how long to wait (RFC 5321 section 4.5.3.2)"`

	SocketMode  Permissions `yaml:"socket_mode" doc:"permissions of a Unix socket in octal digits: who may write to it may connect; smtpd of Postfix is user postfix"`
	SocketGroup string      `yaml:"socket_group" doc:"group of a Unix socket, by name or number; empty for mailweir's own"`

	Milter Milter `yaml:"milter" doc:"of mode milter only, where the settings from upstream to timeouts have no place"`
}

// Upstream is the MTA behind a listener.
type Upstream struct {
	Address        string   `yaml:"address" required:"true" format:"dial" doc:"the MTA: host:port"`
	Identity       Identity `yaml:"identity" doc:"how the upstream learns the client's address: none, it sees ours"`
	MaxConnections int      `yaml:"max_connections" min:"1" max:"1000000" doc:"most connections to the upstream at once; clients beyond are told 421"`
}

// Timeouts is how long to wait for the client, and under upstream for the MTA.
type Timeouts struct {
	Command    time.Duration    `yaml:"command" min:"10ms" doc:"the client's next command (section 4.5.3.2.7)"`
	DataBlock  time.Duration    `yaml:"data_block" min:"10ms" doc:"the client's next piece of message text (section 4.5.3.2.5)"`
	ReplyWrite time.Duration    `yaml:"reply_write" min:"10ms" doc:"the client to take our reply"`
	Upstream   UpstreamTimeouts `yaml:"upstream" doc:"how long to wait for the upstream"`
}

// UpstreamTimeouts is how long to wait for the upstream.
type UpstreamTimeouts struct {
	Connect   time.Duration `yaml:"connect" min:"10ms" doc:"the connection to be made"`
	Greeting  time.Duration `yaml:"greeting" min:"10ms" doc:"the greeting (section 4.5.3.2.1)"`
	Mail      time.Duration `yaml:"mail" min:"10ms" doc:"the reply to MAIL (section 4.5.3.2.2)"`
	Rcpt      time.Duration `yaml:"rcpt" min:"10ms" doc:"the reply to RCPT (section 4.5.3.2.3)"`
	Data      time.Duration `yaml:"data" min:"10ms" doc:"the reply to DATA (section 4.5.3.2.4)"`
	Block     time.Duration `yaml:"block" min:"10ms" doc:"the upstream to take a piece of message text (section 4.5.3.2.5)"`
	EndOfData time.Duration `yaml:"end_of_data" min:"10ms" doc:"the reply to the final dot (section 4.5.3.2.6)"`
	Other     time.Duration `yaml:"other" min:"10ms" doc:"the reply to any other command"`
}

// SetDefaults fills a listener with its defaults.
func (l *Listener) SetDefaults() {
	*l = Listener{
		Mode:        Relay,
		Upstream:    Upstream{Identity: NoIdentity, MaxConnections: 500},
		BareNewline: RejectText,
		NUL:         RejectText,
		Errors:      20,
		CommandLine: 2048,
		Timeouts: Timeouts{
			Command:    5 * time.Minute,
			DataBlock:  3 * time.Minute,
			ReplyWrite: time.Minute,
			Upstream: UpstreamTimeouts{
				Connect:   30 * time.Second,
				Greeting:  5 * time.Minute,
				Mail:      5 * time.Minute,
				Rcpt:      5 * time.Minute,
				Data:      2 * time.Minute,
				Block:     3 * time.Minute,
				EndOfData: 10 * time.Minute,
				Other:     5 * time.Minute,
			},
		},
		SocketMode: 0o660,
		Milter:     milterDefaults(),
	}
}

// Mode is what a listener does.
type Mode string

// The modes.
const (
	Relay Mode = "relay"  // pass the dialogue on to the upstream
	MTA   Mode = "milter" // be asked by an MTA
)

// Words returns the modes there are.
func (Mode) Words() []string { return []string{string(Relay), string(MTA)} }

// Identity is how the upstream learns the client's address.
type Identity string

// NoIdentity leaves the upstream with our own address.
const NoIdentity Identity = "none"

// Words returns the ways there are.
func (Identity) Words() []string { return []string{string(NoIdentity)} }

// Strictness is what to do about octets that message text may not contain.
type Strictness string

// The ways to go about such octets.
const (
	RejectText    Strictness = "reject"    // refuse the message
	NormalizeText Strictness = "normalize" // repair it, before filters and upstream see it
)

// Words returns the ways there are.
func (Strictness) Words() []string { return []string{string(RejectText), string(NormalizeText)} }

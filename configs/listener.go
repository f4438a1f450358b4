package configs

import (
	"time"

	"github.com/mailweir/mailweir/filters/ipset"
)

// Listener is one address: of a relay, which clients connect to, with the
// upstream behind it; or of a milter, which MTAs connect to.
type Listener struct {
	Name     string `yaml:"name" required:"true" doc:"what the listener is called in the log and in the chain; unique"`
	Address  string `yaml:"address" required:"true" format:"socket" doc:"where to listen: host:port, or :port for all addresses of the machine; in mode milter unix:/path, inet:host:port or inet6:host:port"`
	Mode     Mode   `yaml:"mode" doc:"relay: pass the dialogue on to the upstream, command by command; milter: be asked by Postfix or Sendmail over the milter protocol"`
	Hostname string `yaml:"hostname" format:"host" doc:"our own name on this listener, empty for the global hostname"`

	Upstream UpstreamRef `yaml:"upstream" doc:"the MTA behind this listener: a map, or the name of a group of upstreams; a milter has none"`
	Routes   []Route     `yaml:"routes" doc:"upstreams for some recipients' domains, the one above being for all others: [{domains: [lists.example.org, .example.net], upstream: lists}], where .example.net is that domain and all below it; of those that fit, the closest counts"`

	TLS               TLS         `yaml:"tls" doc:"encryption of clients' connections"`
	ProxyProtocolFrom []ipset.Net `yaml:"proxy_protocol_from" doc:"addresses and networks of proxies such as haproxy, which must begin with a PROXY header that tells the client's address"`
	XClientFrom       []ipset.Net `yaml:"xclient_from" doc:"addresses and networks of MTAs that may tell the client's address by XCLIENT"`
	Auth              Auth        `yaml:"auth" doc:"log-ins, which the upstream judges"`

	BareNewline Strictness `yaml:"bare_newline" doc:"a CR or LF that stands alone in message text: reject the message, or normalize it to CRLF"`
	NUL         Strictness `yaml:"nul" doc:"a NUL octet in message text: reject the message, or normalize by taking it out"`

	RelayVerbs   []string `yaml:"relay_verbs" doc:"verbs to relay besides the standard ones, such as SEND, TURN, ATRN, or private ones of the upstream; other verbs are answered with 500"`
	PassKeywords []string `yaml:"pass_keywords" doc:"EHLO keywords of the upstream to offer to clients besides those that mailweir knows"`

	Errors      int `yaml:"errors" min:"1" max:"1000000" doc:"after so many errors without a delivered message between them the session is ended with 421"`
	CommandLine int `yaml:"command_line" min:"512" max:"65536" doc:"longest command line in octets, CRLF included (RFC 5321 section 4.5.3.1.4)"`

	MaxSessions          int `yaml:"max_sessions" min:"0" max:"1000000" doc:"most sessions at once on this listener; 0 for no limit but those of sessions"`
	MaxCommands          int `yaml:"max_commands" min:"0" max:"100000000" doc:"after so many commands without a delivered message between them the session is ended with 421; 0 for no limit"`
	MaxTransactions      int `yaml:"max_transactions" min:"0" max:"100000000" doc:"after so many messages the session is ended with 421 when the next begins; 0 for no limit"`
	MaxRecipients        int `yaml:"max_recipients" min:"1" max:"1000000" doc:"most recipients of a message; those beyond are answered with 452, and the client sends it to them in another transaction (RFC 5321 section 4.5.3.1.8 wants 100 or more)"`
	MaxSessionRecipients int `yaml:"max_session_recipients" min:"0" max:"100000000" doc:"after so many recipients, accepted or not, the session is ended with 421 when the next is named; 0 for no limit"`
	MinDataRate          int `yaml:"min_data_rate" min:"0" max:"1000000" doc:"least octets per second of message text: a message has the time of timeouts.data_block in all, and one second more for each so many octets that have come; 0 for no limit"`

	Timeouts Timeouts `yaml:"timeouts" doc:"how long to wait (RFC 5321 section 4.5.3.2)"`

	SocketMode  Permissions `yaml:"socket_mode" doc:"permissions of a Unix socket in octal digits: who may write to it may connect; smtpd of Postfix is user postfix"`
	SocketGroup string      `yaml:"socket_group" doc:"group of a Unix socket, by name or number; empty for mailweir's own"`

	Milter Milter `yaml:"milter" doc:"of mode milter only, where the settings from upstream to timeouts have no place"`
}

// Auth is how far clients may try to log in.
type Auth struct {
	WithoutTLS  bool          `yaml:"without_tls" doc:"offer AUTH without TLS too, where others can read the password (RFC 4954 section 4)"`
	MaxFailures int           `yaml:"max_failures" min:"0" max:"1000000" doc:"after so many failed log-ins from a client network it may not try again; 0 for no limit"`
	Window      time.Duration `yaml:"window" min:"1s" max:"24h" doc:"for how long a failed log-in counts"`
}

// Timeouts is how long to wait for the client, and under upstream for the MTA.
type Timeouts struct {
	Command     time.Duration    `yaml:"command" min:"10ms" doc:"the client's next command (section 4.5.3.2.7)"`
	DataBlock   time.Duration    `yaml:"data_block" min:"10ms" doc:"the client's next piece of message text (section 4.5.3.2.5)"`
	ReplyWrite  time.Duration    `yaml:"reply_write" min:"10ms" doc:"the client to take our reply"`
	Handshake   time.Duration    `yaml:"tls_handshake" min:"10ms" doc:"the client's part of a TLS handshake"`
	ProxyHeader time.Duration    `yaml:"proxy_header" min:"10ms" doc:"the PROXY header of a client in proxy_protocol_from"`
	Upstream    UpstreamTimeouts `yaml:"upstream" doc:"how long to wait for the upstream"`
}

// UpstreamTimeouts is how long to wait for the upstream.
type UpstreamTimeouts struct {
	Connect   time.Duration `yaml:"connect" min:"10ms" doc:"the connection to be made"`
	Handshake time.Duration `yaml:"tls_handshake" min:"10ms" doc:"a TLS handshake"`
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
		Mode:          Relay,
		TLS:           TLS{MinVersion: "1.2", ClientCertificates: NoCertificate},
		Auth:          Auth{MaxFailures: 10, Window: 10 * time.Minute},
		BareNewline:   RejectText,
		NUL:           RejectText,
		Errors:        20,
		CommandLine:   2048,
		MaxCommands:   10_000,
		MaxRecipients: 1000,
		MinDataRate:   500,
		Timeouts: Timeouts{
			Command:     5 * time.Minute,
			DataBlock:   3 * time.Minute,
			ReplyWrite:  time.Minute,
			Handshake:   30 * time.Second,
			ProxyHeader: 5 * time.Second,
			Upstream: UpstreamTimeouts{
				Connect:   30 * time.Second,
				Handshake: 30 * time.Second,
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
	l.Upstream.SetDefaults()
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

// Strictness is what to do about octets that message text may not contain.
type Strictness string

// The ways to go about such octets.
const (
	RejectText    Strictness = "reject"    // refuse the message
	NormalizeText Strictness = "normalize" // repair it, before filters and upstream see it
)

// Words returns the ways there are.
func (Strictness) Words() []string { return []string{string(RejectText), string(NormalizeText)} }

package configs

import (
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules/strict"
)

// Config is the whole configuration.
type Config struct {
	Hostname     string        `yaml:"hostname" format:"host" doc:"our own name, as clients are greeted with, empty for the machine's host name"`
	Log          Log           `yaml:"log" doc:"the operator's log, which goes to standard error"`
	DrainTimeout time.Duration `yaml:"drain_timeout" min:"0s" doc:"how long sessions may go on after the order to stop; those still open then are told 421"`
	User         string        `yaml:"user" doc:"whom the program becomes when root starts it, by name or number: it then opens its sockets as root, and nothing else; empty to stay who it is"`
	Group        string        `yaml:"group" doc:"the group it becomes, by name or number; empty for that of user"`
	ReusePort    bool          `yaml:"reuse_port" doc:"let a new mailweir listen beside the old one, so that this can be stopped without refusing a client (SO_REUSEPORT; Linux only)"`
	Watch        bool          `yaml:"watch" doc:"load the configuration again when a file that it is read from has changed, as SIGHUP does"`
	Processors   int           `yaml:"processors" min:"0" max:"1024" doc:"most processors to use at once; 0 for half of what the machine has, as the MTA needs some too; with fewer of them a message costs less; GOMAXPROCS in the environment goes before it"`
	Sessions     Sessions      `yaml:"sessions" doc:"how many clients are served at once; those beyond are told 421"`
	DNS          DNS           `yaml:"dns" doc:"how the filters look up names and addresses"`
	State        State         `yaml:"state" doc:"what filters remember beyond a session, such as which clients have passed their tests"`
	Admin        Admin         `yaml:"admin" doc:"how to watch the running program"`
	DelayReject  Delay         `yaml:"delay_reject" doc:"the stage until which a refusal found earlier waits, so that the log knows sender and recipient: connect (no delay), helo, mail or rcpt"`
	Upstreams    []Upstream    `yaml:"upstreams" doc:"groups of MTAs that listeners and routes call by name: each has a name, and the keys that a listener's upstream may have"`
	Listeners    []Listener    `yaml:"listeners" required:"true" doc:"where clients connect, and where their mail goes from there"`
	Chain        []chain.Spec  `yaml:"-"` // read by entries

	Version  string   `yaml:"-"` // of the program, as its metrics tell it; set by who runs it
	Dir      string   `yaml:"-"` // where the file is: relative file names in options start here
	Warnings []string `yaml:"-"` // what looks like a mistake, but does no harm

	file    string               // "" if it was not read from one
	doc     *strict.Document     // nil if it was not read at all
	options map[string]positions // of the chain's entries, by Spec.Pos
}

// Log is what is logged, and how.
type Log struct {
	Level  Level  `yaml:"level" doc:"the least level that is logged: debug, info, warn or error"`
	Format Format `yaml:"format" doc:"how records are written: text or json"`
}

// Sessions limits how many clients are served at once.
type Sessions struct {
	Max           int           `yaml:"max" min:"1" max:"1000000" doc:"most sessions at once"`
	MaxPerClient  int           `yaml:"max_per_client" min:"1" max:"1000000" doc:"most sessions at once with one client network"`
	NewPerClient  int           `yaml:"new_per_client" min:"0" max:"1000000" doc:"most sessions that one client network may begin in a second; 0 for no limit"`
	ClientNetwork ClientNetwork `yaml:"client_network" doc:"what is one client network for these limits, and for failed log-ins"`

	MaxHeld filters.Bytes `yaml:"max_held" doc:"most octets of messages that are held until the verdict, in memory and in files, over all sessions; beyond that messages are answered with 452; 0 for no limit"`
	Stress  Stress        `yaml:"stress" doc:"how to behave while there are many sessions"`
}

// ClientNetwork is how large the networks are that clients are counted by.
type ClientNetwork struct {
	IPv4 int `yaml:"ipv4" min:"8" max:"32" doc:"length of the prefix, in bits, of IPv4 addresses that count as one client; 32 for each address by itself"`
	IPv6 int `yaml:"ipv6" min:"16" max:"128" doc:"the same of IPv6 addresses; a customer mostly has a /64 or more"`
}

// Stress shortens waits for clients while there are many.
type Stress struct {
	Share     float64       `yaml:"share" min:"0" max:"1" doc:"from this share of max sessions on waits are shorter; 0 for never"`
	Command   time.Duration `yaml:"command" min:"10ms" doc:"longest wait then for a client's next command, for a PROXY header, for its TLS handshake, and for it to take a reply"`
	DataBlock time.Duration `yaml:"data_block" min:"10ms" doc:"longest wait then for a client's next piece of message text"`
}

// Level is a log level.
type Level string

// Words returns the levels there are.
func (Level) Words() []string { return []string{"debug", "info", "warn", "error"} }

// Slog returns the level as package slog knows it.
func (l Level) Slog() slog.Level {
	return map[Level]slog.Level{
		"debug": slog.LevelDebug,
		"info":  slog.LevelInfo,
		"warn":  slog.LevelWarn,
		"error": slog.LevelError,
	}[l]
}

// Format is how log records are written.
type Format string

// The formats.
const (
	Text Format = "text"
	JSON Format = "json"
)

// Words returns the formats there are.
func (Format) Words() []string { return []string{string(Text), string(JSON)} }

// Delay is the stage until which refusals wait.
type Delay string

// Words returns the stages a refusal may wait for.
func (Delay) Words() []string { return []string{"connect", "helo", "mail", "rcpt"} }

// Stage returns the stage of that name.
func (d Delay) Stage() filters.Stage {
	for s := filters.Connect; s < filters.Rcpt; s++ {
		if s.String() == string(d) {
			return s
		}
	}
	return filters.Rcpt
}

// defaults returns the configuration of an empty file.
func defaults() Config {
	return Config{
		Log:          Log{Level: "info", Format: Text},
		DrainTimeout: 30 * time.Second,
		Sessions: Sessions{Max: 1000, MaxPerClient: 50, ClientNetwork: ClientNetwork{IPv4: 32, IPv6: 64}, MaxHeld: 1 << 30,
			Stress: Stress{Share: 0.8, Command: 10 * time.Second, DataBlock: 30 * time.Second}},
		DNS: DNS{
			AttemptTimeout: 2 * time.Second,
			Timeout:        8 * time.Second,
			Tries:          2,
			CacheEntries:   50_000,
			MinTTL:         time.Minute,
			MaxTTL:         time.Hour,
			RandomCase:     true,
		},
		State:       State{Entries: 100_000},
		DelayReject: "rcpt",
	}
}

package dnsbl

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters/ipset"
)

// Config is the configuration of one filter.
type Config struct {
	Zones            []Zone        `yaml:"zones" required:"true" doc:"the lists to ask: each the name of a preset, the name of a zone, or a map with more about it"`
	Threshold        int           `yaml:"threshold" min:"1" doc:"the score from which a client is refused, at least 1"`
	At               Stage         `yaml:"at" doc:"the stage that waits for the answers and settles; the later, the more time there is for them"`
	Exempt           []ipset.Net   `yaml:"exempt" doc:"addresses and networks whose clients no list is asked about"`
	Reply            string        `yaml:"reply" doc:"text of the refusal, one line, with placeholders such as {zone}; the manual lists them"`
	MaxShare         float64       `yaml:"max_share" min:"0" max:"1" doc:"a list that has more than this share of the last distinct clients, of at least 100, is set aside; 0 to let lists have as many as they like"`
	SelfTestInterval time.Duration `yaml:"self_test_interval" doc:"time between self-tests of the lists, at least 1m; 0s for only one when mailweir starts"`
}

// defaults of the options.
func defaults() Config {
	return Config{
		Threshold:        4,
		At:               "rcpt",
		Exempt:           ipset.Inside(),
		Reply:            "{subject} is listed by {zone}: {meaning}",
		MaxShare:         0.95,
		SelfTestInterval: 30 * time.Minute,
	}
}

// Zone is a list as the configuration has it.
type Zone struct {
	Zone     string   `yaml:"zone" secret:"true" doc:"the name under which the list is asked"`
	Preset   string   `yaml:"preset" doc:"the well-known list that this is, as far as other options do not say otherwise"`
	Label    string   `yaml:"label" doc:"what replies, logs and metrics call it"`
	Key      string   `yaml:"key" secret:"true" doc:"the customer's key, which goes before the zone's name and is never shown"`
	Weight   *int     `yaml:"weight" doc:"what a listing counts; when absent 1, or the weights of the preset"`
	Check    []Check  `yaml:"check" doc:"what the list is asked about; when empty the client, or what the preset is for"`
	IPv4     *bool    `yaml:"ipv4" doc:"ask about IPv4 addresses; when absent true, or what the preset can do"`
	IPv6     *bool    `yaml:"ipv6" doc:"ask about IPv6 addresses; when absent false, or what the preset can do"`
	Answers  []Answer `yaml:"answers" doc:"the answers that count; others then do not; when empty those of the preset, or any"`
	SelfTest bool     `yaml:"self_test" doc:"trust the list only while it has what each list has, and has not what none has (RFC 5782 section 5)"`
	Reply    string   `yaml:"reply" doc:"text of the refusal when this list counts most; when empty that of the entry"`
}

// Answer is what one kind of answers counts.
type Answer struct {
	Match   Pattern `yaml:"match" required:"true" doc:"the addresses, such as 127.0.0.2, 127.0.0.[2..11], 127.0.*.3, 127.0.0.&8 or 127.0.0.0/24"`
	Weight  *int    `yaml:"weight" doc:"what they count; the weight of the zone when absent"`
	Meaning string  `yaml:"meaning" doc:"what they mean, for replies and logs"`
}

// SetDefaults sets what is not the zero value.
func (z *Zone) SetDefaults() { z.SelfTest = true }

// UnmarshalText takes the name of a zone or of a preset.
func (z *Zone) UnmarshalText(text []byte) error {
	*z = Zone{Zone: string(text)}
	z.SetDefaults()
	return nil
}

// UnmarshalYAML takes a name, or the whole map.
func (z *Zone) UnmarshalYAML(decode func(any) error) error {
	var name string
	if err := decode(&name); err == nil {
		return z.UnmarshalText([]byte(name))
	}
	type fields Zone // without this method
	z.SetDefaults()
	return decode((*fields)(z))
}

// String returns the zone's name as it may be shown.
func (z Zone) String() string {
	shown, _ := shownName(z)
	return shown
}

// Check is what a list is asked about.
type Check string

// The checks.
const (
	CheckClient Check = "client" // the client's address
	CheckHelo   Check = "helo"   // the domain that it greets with
	CheckSender Check = "sender" // the domain of the reverse-path
)

var checks = []string{string(CheckClient), string(CheckHelo), string(CheckSender)}

// Words returns the checks there are.
func (Check) Words() []string { return checks }

// UnmarshalText reads the name of a check.
func (c *Check) UnmarshalText(text []byte) error {
	*c = Check(text)
	return oneOf(string(text), checks)
}

// Stage is the stage that settles.
type Stage string

var stages = []string{"connect", "helo", "mail", "rcpt", "data"}

// Words returns the stages there are.
func (Stage) Words() []string { return stages }

// UnmarshalText reads the name of a stage.
func (s *Stage) UnmarshalText(text []byte) error {
	*s = Stage(text)
	return oneOf(string(text), stages)
}

// before reports whether the stage comes before that one.
func (s Stage) before(other Stage) bool {
	return slices.Index(stages, string(s)) < slices.Index(stages, string(other))
}

func oneOf(word string, words []string) error {
	if !slices.Contains(words, word) {
		return fmt.Errorf("want one of %v, got %+.40q", words, word)
	}
	return nil
}

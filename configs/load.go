package configs

import (
	"errors"
	"os"

	"github.com/spf13/pflag"

	"github.com/mailweir/mailweir/filters"
)

// Source is where a configuration comes from, besides the environment.
type Source struct {
	File  string         // the YAML file
	Flags *pflag.FlagSet // flags that Flags declared, or nil
}

// Load reads a configuration: the defaults, over them the file, over that the
// environment (MAILWEIR_LOG_LEVEL ...), over that the flags. Environment and
// flags reach the settings of the process only: never chain and listeners.
// Its error is a Problems with all that is wrong.
//
// A MAILWEIR_ variable that is none of ours is no error but a warning:
// Kubernetes sets MAILWEIR_PORT and others for a service called mailweir.
func Load(kinds []filters.Kind, src Source) (*Config, error) {
	data, err := read(src.File)
	if err != nil {
		problem := Problem{Msg: err.Error()}
		if errors.Is(err, os.ErrNotExist) {
			problem.Hint = "name the configuration with --config"
		}
		return nil, Problems{problem}
	}
	c, problems := parse(kinds, src.File, data)
	c.file = src.File
	problems = append(problems, c.layer(src.Flags)...)
	c.Warnings = unknownVariables(os.Environ())
	c.finish(&problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Files returns the names of the files that the configuration was read from.
// Those that filters read are the chain's to tell.
func (c *Config) Files() []string {
	if c.file == "" {
		return nil
	}
	return []string{c.file}
}

// finish fills in what depends on the machine, and looks for mistakes that are
// no problems.
func (c *Config) finish(problems *Problems) {
	if c.Hostname == "" {
		name, err := os.Hostname()
		if err != nil {
			*problems = append(*problems, Problem{Msg: "hostname: " + err.Error(), Hint: "set it"})
		}
		c.Hostname = name
	}
	for i := range c.Listeners {
		if c.Listeners[i].Hostname == "" {
			c.Listeners[i].Hostname = c.Hostname
		}
	}
	if len(*problems) == 0 {
		c.warn()
	}
}

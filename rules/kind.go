package rules

import (
	"github.com/mailweir/mailweir/filters"
)

// Config is the configuration of one filter.
type Config struct {
	File string `yaml:"file" doc:"the rule file; none for no rules"`
}

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{
	Name: "rules",
	Doc:  manual(),
	Sets: []filters.FactInfo{Score.Info, Tags.Info},
}, Config{}, build)

func build(env filters.Env, c *Config) (filters.Filter, error) {
	o := Options{Dir: env.Dir, Log: env.Log, Facts: env.Facts, Listeners: env.Listeners, Env: env}
	if c.File == "" {
		return Parse(o, "", env.Dir, nil)
	}
	p, err := Load(o, c.File)
	if err != nil {
		return nil, err
	}
	for _, w := range p.Warnings() {
		env.Log.Warn(w.Error())
	}
	return p, nil
}

package configs

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/mailweir/mailweir/rules/strict"
)

// delimiter joins the keys of nested settings. A dot would split keys that
// contain one.
const delimiter = "::"

// settings are the settings of the process: those that environment and flags
// may set.
var settings = []string{
	"hostname",
	"log::level",
	"log::format",
	"drain_timeout",
	"user",
	"group",
	"sessions::max",
	"sessions::max_per_client",
	"state::file",
	"admin::address",
}

const prefix = "MAILWEIR_"

func variableOf(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, delimiter, "_"))
}

func flagOf(key string) string {
	return strings.NewReplacer(delimiter, "-", "_", "-").Replace(key)
}

// Flags declares the flags of the process settings.
func Flags(fs *pflag.FlagSet) {
	c := defaults()
	for _, key := range settings {
		f, v := c.setting(key)
		fs.Var(&flagText{text: fmt.Sprint(v), noun: nounOf(key, v)}, flagOf(key), f.Doc)
	}
}

// flagText is a flag's value as it was typed: it is judged when the layers are
// put together, along with all else.
type flagText struct{ text, noun string }

func (t *flagText) String() string        { return t.text }
func (t *flagText) Set(text string) error { t.text = text; return nil }
func (t *flagText) Type() string          { return t.noun }

// nounOf names a setting's type in the help. Viper would convert values of
// flags whose type it knows, and lose the bad ones.
func nounOf(key string, v reflect.Value) string {
	switch {
	case key == "state::file":
		return "file"
	case key == "admin::address":
		return "address"
	case strict.Words(v.Type()) != nil:
		return "word"
	case v.Type() == reflect.TypeFor[string]():
		return "name"
	case v.Kind() == reflect.Int:
		return "number"
	}
	return "time"
}

// setting returns the option of that key and its value in c.
func (c *Config) setting(key string) (strict.Field, reflect.Value) {
	var f strict.Field
	v := reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(key, delimiter) {
		for _, f = range strict.Fields(v.Type()) {
			if f.Name == name {
				v = f.Of(v)
				break
			}
		}
	}
	return f, v
}

// layer lays environment and flags over the process settings of c, and returns
// what is wrong with them.
func (c *Config) layer(flags *pflag.FlagSet) Problems {
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	var problems Problems
	for _, key := range settings {
		f, value := c.setting(key)
		v.SetDefault(key, fmt.Sprint(value)) // the file's, which rests upon the defaults
		_ = v.BindEnv(key, variableOf(key))  // fails without a key only
		if flag := lookup(flags, key); flag != nil {
			_ = v.BindPFlag(key, flag) // fails without a flag only
		}
		if wrong := strict.SetText(value, v.GetString(key), f); wrong != nil {
			wrong.Where = whoSet(flags, key)
			if wrong.Where != "" {
				problems = append(problems, *wrong)
			}
		}
	}
	return problems
}

func lookup(flags *pflag.FlagSet, key string) *pflag.Flag {
	if flags == nil {
		return nil
	}
	return flags.Lookup(flagOf(key))
}

// whoSet names the layer above the file that a setting comes from, "" if there
// is none.
func whoSet(flags *pflag.FlagSet, key string) string {
	if f := lookup(flags, key); f != nil && f.Changed {
		return "flag --" + f.Name
	}
	if os.Getenv(variableOf(key)) != "" {
		return "environment " + variableOf(key)
	}
	return ""
}

// unknownVariables warns of variables that look like ours and are not.
func unknownVariables(environ []string) []string {
	known := make([]string, len(settings))
	for i, key := range settings {
		known[i] = variableOf(key)
	}
	var warnings []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, prefix) || slices.Contains(known, name) {
			continue
		}
		warning := "environment " + name + ": no such setting"
		if hint := strict.Suggest(name, known); hint != "" {
			warning += "; " + hint
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

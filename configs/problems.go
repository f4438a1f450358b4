package configs

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules/strict"
)

// Problem is one thing wrong with a configuration: place, message, the source
// line with a caret, and a hint.
type Problem = strict.Problem

// Problems is all that is wrong with a configuration, as an error.
type Problems = strict.Problems

// Nearest returns the word most like the given one, or "" when none is like it.
func Nearest(word string, words []string) string { return strict.Nearest(word, words) }

// Build makes the chain. Relative file names in options start where the
// configuration file is, unless env says otherwise. Its error is a Problems.
func (c *Config) Build(env filters.Env) (*chain.Chain, error) {
	if env.Dir == "" {
		env.Dir = c.Dir
	}
	for _, l := range c.Listeners {
		env.Listeners = append(env.Listeners, l.Name)
	}
	built, err := chain.Build(env, c.Chain, chain.Options{DelayReject: c.DelayReject.Stage()})
	if err != nil {
		return nil, c.Explain(err)
	}
	return built, nil
}

// Explain turns an error about the configuration, such as those of chain.Build
// and Chain.Fits, and SettingErrors, into Problems that show the lines in question. Joined errors
// become one problem each. It returns nil for nil.
func (c *Config) Explain(err error) error {
	var problems Problems
	c.collect(&problems, err)
	if len(problems) == 0 {
		return nil
	}
	met := map[string]int{} // files, in the order in which they are met
	for _, p := range problems {
		if _, ok := met[p.Where]; !ok {
			met[p.Where] = len(met)
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(met[a.Where], met[b.Where]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return problems
}

func (c *Config) collect(to *Problems, err error) {
	var known Problems
	var spec *chain.SpecError
	var setting *SettingError
	switch many := err.(type) {
	case nil:
	case interface{ Unwrap() []error }:
		for _, e := range many.Unwrap() {
			c.collect(to, e)
		}
	default:
		switch {
		case errors.As(err, &spec):
			c.collectSpec(to, spec)
		case errors.As(err, &setting):
			*to = append(*to, c.ofSetting(setting))
		case errors.As(err, &known):
			*to = append(*to, known...)
		default:
			*to = append(*to, Problem{Msg: err.Error()})
		}
	}
}

// collectSpec notes what is wrong with an entry of the chain: one problem for
// each error that is joined in it. What is wrong with a file that the entry names
// stands in that file.
func (c *Config) collectSpec(to *Problems, e *chain.SpecError) {
	errs := []error{e.Err}
	if many, ok := e.Err.(interface{ Unwrap() []error }); ok {
		errs = many.Unwrap()
	}
	for _, err := range errs {
		var known Problems
		if !errors.As(err, &known) {
			*to = append(*to, c.ofEntry(e.Spec, err, ""))
		}
		for _, p := range known {
			if p.Where == "" {
				p = c.ofEntry(e.Spec, errors.New(p.Msg), p.Hint)
			}
			if !slices.Contains(*to, p) { // another entry may name that file, too
				*to = append(*to, p)
			}
		}
	}
}

// ofEntry returns a problem of an entry, where it stands.
func (c *Config) ofEntry(spec chain.Spec, err error, hint string) Problem {
	msg := spec.Kind.Name + ": " + err.Error()
	pos, ok := parsePos(spec.Pos)
	if !ok || c.doc == nil {
		return Problem{Where: spec.Pos, Msg: msg, Hint: hint}
	}
	return c.doc.At(c.optionPos(spec.Pos, err, pos), msg, hint)
}

// optionPos returns where the option is that an error begins with, as in
// "max: too small", or else the entry's own place.
func (c *Config) optionPos(spec string, err error, entry strict.Pos) strict.Pos {
	option, _, _ := strings.Cut(err.Error(), ":")
	if pos, ok := c.options[spec][option]; ok {
		return pos
	}
	return entry
}

// parsePos reads the line and column at the end of "file:line:col".
func parsePos(s string) (strict.Pos, bool) {
	parts := strings.Split(s, ":")
	if len(parts) < 3 {
		return strict.Pos{}, false
	}
	line, err := strconv.Atoi(parts[len(parts)-2])
	col, err2 := strconv.Atoi(parts[len(parts)-1])
	return strict.Pos{Line: line, Col: col}, err == nil && err2 == nil
}

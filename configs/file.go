package configs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// file is all that a configuration file may say.
type file struct {
	Config `yaml:",inline"`
	Chain  entries `yaml:"chain" doc:"the filters in the order in which they are asked"`
}

// Parse reads a configuration from text, without environment and flags. name
// stands for it in messages and positions. Its error is a Problems.
func Parse(kinds []filters.Kind, name string, data []byte) (*Config, error) {
	c, problems := parse(kinds, name, data)
	c.finish(&problems)
	return c, problems.Err()
}

// parse reads a file over the defaults.
func parse(kinds []filters.Kind, name string, data []byte) (*Config, Problems) {
	f := file{Config: defaults(), Chain: entries{kinds: kinds, file: name}}
	f.Dir = filepath.Dir(name)
	doc, problems := strict.Parse(name, data)
	f.doc = doc
	if problems == nil {
		problems = doc.Decode(&f)
	}
	f.Chain.handOver(&f.Config)
	f.resolve()
	return &f.Config, problems
}

// read reads the named file, up to one octet more than is allowed.
func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, strict.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// Check holds names to be unique, and listeners and groups that are called by
// name to exist.
func (f *file) Check(r *strict.Report) {
	listeners := map[string]bool{}
	for i, l := range f.Listeners {
		if l.Name != "" && listeners[l.Name] {
			r.Item("listeners", i, fmt.Sprintf("a second one named %q", l.Name), "give it a name of its own")
		}
		listeners[l.Name] = true
	}
	if f.Listeners != nil && len(f.Listeners) == 0 {
		r.Problem("listeners", "want at least one", "")
	}
	f.checkGroups(r)
	filterNames := map[string]bool{}
	for _, e := range f.Chain.list {
		if filterNames[e.Name] {
			r.At(e.at, fmt.Sprintf("a second filter named %q", e.Name), e.rename())
		}
		filterNames[e.Name] = true
		e.check(r, listeners)
	}
}

// rename says how to get rid of a name that is taken.
func (e *entry) rename() string {
	if e.named {
		return "give it a name of its own"
	}
	return "two of a kind are told apart by name: add one"
}

// check holds an entry's listeners to exist.
func (e *entry) check(r *strict.Report, listeners map[string]bool) {
	names := make([]string, 0, len(listeners))
	for name := range listeners {
		names = append(names, name)
	}
	for i, name := range e.Listeners {
		if !listeners[name] && i < len(e.listeners) {
			r.At(e.listeners[i], fmt.Sprintf("listeners: there is no listener %q", name), strict.Suggest(name, names))
		}
	}
}

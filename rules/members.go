package rules

import (
	"fmt"
	"path/filepath"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// list compiles a named list.
func (c *compiler) list(it *item[List]) {
	if !isSlug(it.name) {
		c.problem(it.at, fmt.Sprintf("%s is no name for a list", quote(it.name)), nameHint)
	}
	v := &it.value
	sorts := []struct {
		sort          string
		inline, files []Word
	}{
		{sortAddresses, v.Addresses, v.AddressesFiles},
		{sortDomains, v.Domains, v.DomainsFiles},
		{sortPatterns, v.Patterns, v.PatternsFiles},
		{sortWords, v.Words, v.WordsFiles},
	}
	l := &list{name: it.name, domains: names{}, words: map[string]bool{}}
	c.p.lists[it.name] = l
	for _, s := range sorts {
		if len(s.inline)+len(s.files) == 0 {
			continue
		}
		if l.sort != "" {
			c.problem(it.at, fmt.Sprintf("the list %s holds %s and %s", it.name, l.sort, s.sort), "a list is of one sort: make two of it")
			return
		}
		l.sort = s.sort
		c.fill(l, s.inline, s.files)
	}
	if l.sort == "" {
		c.problem(it.at, fmt.Sprintf("the list %s is empty", it.name), "give it addresses, domains, patterns or words, or files with them")
		l.sort = sortWords
	}
}

func (c *compiler) fill(l *list, inline, files []Word) {
	for _, w := range inline {
		if err := l.add(w.Text); err != nil && w.at != nil {
			c.problem(w.at, l.sort+": "+err.Error(), "")
		}
	}
	l.close()
	for _, w := range files {
		l.inFiles = true
		path := w.Text
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.dir, path)
		}
		c.p.files = append(c.p.files, path)
		if err := l.read(path, w.Text); err != nil && w.at != nil {
			c.problem(w.at, l.sort+"_files: "+err.Error(), "")
		}
	}
}

const nameHint = "write lower-case letters, digits and _, such as no_dialups"

// compileSet compiles a set and its rules.
func (c *compiler) compileSet(it *item[Set]) {
	if !isSlug(it.name) {
		c.problem(it.at, fmt.Sprintf("%s is no name for a set", quote(it.name)), nameHint)
	}
	s := &set{name: it.name, number: len(c.p.sets)}
	c.p.sets = append(c.p.sets, s)
	if it.value.Recipients.n == nil && len(it.value.Listeners) == 0 {
		c.problem(it.at, fmt.Sprintf("the set %s is for nobody in particular", it.name), "name its recipients or listeners, or put its rules under rules")
	}
	if raw := it.value.Recipients; raw.n != nil {
		s.to = c.matcher(raw.d, c.p.fields.find("to"), raw.n, "recipients")
	}
	for _, l := range it.value.Listeners {
		s.listeners = append(s.listeners, l.Text)
		if c.options.Listeners != nil && !contained(l.Text, c.options.Listeners) && l.at != nil {
			c.problem(l.at, fmt.Sprintf("listeners: there is no listener %q", l.Text), strict.Suggest(l.Text, c.options.Listeners))
		}
	}
	if it.value.Rules != nil && len(it.value.Rules) == 0 {
		c.problem(it.at, fmt.Sprintf("the set %s has no rules", it.name), "leave the set out")
	}
	c.set = s
	s.rules = c.rules(it.value.Rules)
	c.set = nil
	for _, r := range s.rules {
		s.content = s.content || r.stage > filters.Rcpt
	}
}

func contained(s string, list []string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

package rules

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/mailweir/mailweir/filters/ipset"
)

// list is a named list of things of one sort.
type list struct {
	name     string
	sort     string // the key under which it stands: addresses, domains, patterns or words
	sets     []*ipset.Set
	domains  names
	patterns []*regexp.Regexp
	words    map[string]bool // folded
	nets     []netip.Prefix  // those in line
	size     int             // entries, those of address files not counted
	inFiles  bool
	used     bool
}

// Limits of what lists hold.
const (
	maxPatterns   = 1000
	maxExpression = 1000 // octets of a pattern
	maxProgram    = 2000 // steps for an octet, of which there are 64 KiB at most
	maxLine       = 4096
	maxListFile   = 256 << 20 // octets
)

// add takes an entry in line.
func (l *list) add(entry string) error {
	switch l.sort {
	case sortAddresses:
		p, err := ipset.Parse(entry)
		if err == nil {
			l.nets = append(l.nets, p)
			l.size++
		}
		return err
	case sortDomains:
		p, err := parsePattern(entry)
		if err == nil {
			l.domains.add(p)
			l.size = len(l.domains)
		}
		return err
	case sortPatterns:
		re, err := parseExpression(entry)
		if err == nil && len(l.patterns) >= maxPatterns {
			err = fmt.Errorf("more than %d patterns in a list", maxPatterns)
		}
		if err == nil {
			l.patterns = append(l.patterns, re)
			l.size++
		}
		return err
	}
	if entry == "" {
		return errors.New("an empty word")
	}
	l.words[string(appendLower(nil, entry))] = true
	l.size = len(l.words)
	return nil
}

// The sorts of lists.
const (
	sortAddresses = "addresses"
	sortDomains   = "domains"
	sortPatterns  = "patterns"
	sortWords     = "words"
)

// fitsType reports whether values of a type can be looked up in the list.
func (l *list) fitsType(t Type) bool {
	switch l.sort {
	case sortAddresses:
		return t == Address
	case sortDomains:
		return t == Domain || t == Mailbox || t == Free || t == Text
	}
	return t == Text || t == Domain || t == Mailbox || t == Free
}

// has reports whether the value is in the list.
func (l *list) has(e *evaluation, v *value) bool {
	switch l.sort {
	case sortAddresses:
		for _, s := range l.sets { // of files, and what stands in line
			if s.Contains(v.addr) {
				return true
			}
		}
	case sortDomains:
		e.fold(v)
		return l.domains.has(v.domain)
	case sortPatterns:
		for _, re := range l.patterns {
			if re.MatchString(v.text) {
				return true
			}
		}
	case sortWords:
		e.fold(v)
		return l.words[string(v.low)]
	}
	return false
}

// parseExpression compiles a pattern in RE2's syntax, which takes linear time.
func parseExpression(s string) (*regexp.Regexp, error) {
	if len(s) > maxExpression {
		return nil, fmt.Errorf("the pattern is longer than %d octets", maxExpression)
	}
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("bad pattern: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if program, err := syntax.Compile(tree.Simplify()); err != nil || len(program.Inst) > maxProgram {
		return nil, fmt.Errorf("the pattern is too great: its repetitions take more than %d steps for a character", maxProgram)
	}
	return regexp.Compile(s)
}

// read adds what stands in a file: one entry a line, comments begin with #.
// name stands for it in messages.
func (l *list) read(path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", name)
	}
	r := io.LimitReader(f, maxListFile)
	if l.sort == sortAddresses {
		set, err := ipset.Read(r, name)
		if err == nil {
			l.sets = append(l.sets, set)
		}
		return err
	}
	return l.readLines(r, name)
}

func (l *list) readLines(r io.Reader, name string) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if l.sort != sortPatterns { // # may stand in a pattern
			line, _, _ = strings.Cut(line, " #")
			line = strings.TrimSpace(line)
		}
		if err := l.add(line); err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: a line of more than %d octets", name, number+1, maxLine)
	}
	return lines.Err()
}

// hasText is has for what an expression asks about.
func (l *list) hasText(s string) bool {
	v := value{text: s, kind: Mailbox}
	if l.sort == sortAddresses {
		a, err := netip.ParseAddr(s)
		v = value{addr: a.Unmap().WithZone(""), kind: Address}
		return err == nil && l.has(nil, &v)
	}
	if !strings.Contains(s, "@") {
		v.kind = Domain
	}
	var e evaluation
	return l.has(&e, &v)
}

// close makes a set of the networks in line.
func (l *list) close() {
	if len(l.nets) == 0 {
		return
	}
	nets := make([]ipset.Net, len(l.nets))
	for i, p := range l.nets {
		nets[i] = ipset.Net{Prefix: p}
	}
	l.sets = append(l.sets, ipset.Of(nets))
}

package upstream

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// keywords is the text of a reply to EHLO or LHLO, without the line that names
// the server (RFC 5321 section 4.1.1.1).
type keywords string

// keywordsOf returns those of a complete reply.
func keywordsOf(wire []byte) keywords {
	_, lines, _ := bytes.Cut(wire, []byte("\r\n"))
	return keywords(lines)
}

// find returns what stands behind a keyword, in the first line that has it.
func (k keywords) find(name string) (args string, ok bool) {
	for line := range strings.SplitSeq(string(k), "\r\n") {
		if len(line) <= len("250 ") {
			continue
		}
		word, args, _ := strings.Cut(line[len("250 "):], " ")
		if strings.EqualFold(word, name) {
			return args, true
		}
	}
	return "", false
}

// has reports whether the server offers it.
func (k keywords) has(name string) bool {
	_, ok := k.find(name)
	return ok
}

// names returns all keywords with their arguments, one a line of the reply.
func (k keywords) names() (list []string) {
	for line := range strings.SplitSeq(string(k), "\r\n") {
		if len(line) > len("250 ") {
			list = append(list, strings.TrimSpace(line[len("250 "):]))
		}
	}
	return list
}

// announced returns those of the known attributes that stand behind a keyword.
func (k keywords) announced(keyword string, known []string) (list []string, ok bool) {
	args, ok := k.find(keyword)
	for word := range strings.FieldsSeq(args) {
		word = strings.ToUpper(word)
		if slices.Contains(known, word) && !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list, ok
}

// learned is what the servers of a group have said and done.
type learned struct {
	mu      sync.Mutex
	wire    []byte          // the last reply to EHLO or LHLO
	unclear map[string]bool // the addresses of servers whose TLS has failed last
}

// Keywords returns the last reply to EHLO or LHLO that a server of the group
// has given, as it was on the wire, nil before any. It must not be changed.
func (l *learned) Keywords() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wire
}

// Learn keeps a reply to EHLO or LHLO of class 2, within TLS if there is any.
func (l *learned) Learn(wire []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !bytes.Equal(l.wire, wire) {
		l.wire = bytes.Clone(wire)
	}
}

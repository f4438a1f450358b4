package rules

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// Parse compiles a policy from text. name stands for it in messages; dir is
// where relative names of list files start. Its error is a strict.Problems.
func Parse(o Options, name, dir string, data []byte) (*Policy, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Policy{
		file:   name,
		log:    o.Log,
		fields: newFieldSet(o.Facts),
		lists:  map[string]*list{},
		slotOf: map[string]int{},
	}
	doc, problems := strict.Parse(name, data)
	if problems != nil {
		return nil, problems.Err()
	}
	c := &compiler{p: p, options: o, dir: dir, doc: doc}
	f := File{compile: c.compile}
	if err := doc.Decode(&f).Err(); err != nil {
		return nil, err
	}
	p.ofSession = filters.NewFact[*sessionState](fmt.Sprintf("rules.session.%p", p), "what rules have left in the session")
	p.ofTransaction = filters.NewFact[*state](fmt.Sprintf("rules.transaction.%p", p), "what rules have left in the transaction")
	p.matches = o.Env.Counter("mailweir_rules_matched_total", "How often a rule has matched.", "rule")
	p.failures = o.Env.Counter("mailweir_rules_failed_total", "How often a rule could not be decided.", "rule")
	return p, nil
}

// readFile reads the named file, up to one octet more than is allowed.
func readFile(name string) ([]byte, error) {
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

// maxMessage bounds the octets of a test's message file.
const maxMessage = 64 << 20

// readMessage reads the message of a test.
func readMessage(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMessage+1))
	if err == nil && len(data) > maxMessage {
		err = fmt.Errorf("%s: longer than %d octets", name, maxMessage)
	}
	return string(data), err
}

package filters

import (
	"log/slog"
	"time"
)

// Kind is a sort of filter, as the configuration names it. Help, manual and
// sample configuration are printed from it.
type Kind struct {
	Name    string        // the key of its entries in the chain
	Doc     string        // the manual: a first sentence, then as much as it takes
	Needs   Needs         // what its filters do to messages
	Sets    []FactInfo    // facts its filters set
	Reads   []FactInfo    // facts its filters read: they are asked after those that set them
	Timeout time.Duration // default of an entry's timeout; 0 for filters that never wait

	Conf func() any                     // a new configuration, a pointer to a struct with yaml and doc tags, filled with defaults
	New  func(Env, any) (Filter, error) // builds a filter from what Conf returned; called once per entry
}

// Define completes k with a typed configuration: the defaults are its schema.
func Define[C any](k Kind, defaults C, build func(Env, *C) (Filter, error)) Kind {
	k.Conf = func() any {
		c := defaults
		return &c
	}
	k.New = func(env Env, conf any) (Filter, error) { return build(env, conf.(*C)) }
	return k
}

// Env is what a filter gets from its host.
type Env struct {
	Log *slog.Logger     // the operator's log
	Now func() time.Time // the clock
	Dir string           // relative file names in options start here
}

// Needs is a set of things a filter does that a front end may not offer.
type Needs uint32

// What filters may need.
const (
	WholeMessage Needs = 1 << iota // the message held until the verdict
	DoQuarantine                   // Quarantine verdicts
	EditHeader                     // AddField, InsertField, ChangeField, RemoveField
	EditSender                     // ChangeSender
	EditRcpt                       // AddRcpt, RemoveRcpt
	EditBody                       // ReplaceBody
	TellHELO                       // Session.ESMTP and HadEHLO as the client greeted
)

// Edits is every need of an edit.
const Edits = EditHeader | EditSender | EditRcpt | EditBody

var needNames = []string{"hold the whole message", "quarantine", "edit header fields", "change the sender", "change recipients", "replace the body", "tell HELO from EHLO"}

// String returns the needs in words.
func (n Needs) String() string {
	words := ""
	for i, name := range needNames {
		if n&(1<<i) == 0 {
			continue
		}
		if words != "" {
			words += ", "
		}
		words += name
	}
	return words
}

// Offers is what a front end can do for a chain.
type Offers struct {
	Stages Stages
	Needs  Needs
}

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
	Observe bool          // entries that spell no action are ignore, not enforce
	Lenient bool          // entries that spell no on_error continue, for what fails is not the client's fault
	Waits   bool          // lets clients wait on purpose: asked after all others of a stage, so that these use the time

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
	Log      *slog.Logger     // the operator's log
	Now      func() time.Time // the clock
	Dir      string           // relative file names in options start here
	Resolver Resolver         // the DNS
	Store    Store            // memory beyond sessions
	Metrics  Metrics          // nil for none: see Counter, Gauge and Histogram
	Keeper   Keeper           // nil for none: see Keep
	Timeout  time.Duration    // of the entry that the filter is built for, 0 for none

	Facts     []FactInfo // what the filters of the chain set; nil if that is not known
	Listeners []string   // the names of the listeners; nil if they are not known
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
	HearClient                     // Session.Wire
)

// Edits is every need of an edit.
const Edits = EditHeader | EditSender | EditRcpt | EditBody

var needNames = []string{"hold the whole message", "quarantine", "edit header fields", "change the sender", "change recipients", "replace the body", "tell HELO from EHLO", "hear what a client says before it is greeted"}

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

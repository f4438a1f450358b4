package chain

import "github.com/mailweir/mailweir/filters"

// plan is the chain sorted by stage once, so that a stage asks only those who
// have something to say.
type plan struct {
	address []step[filters.AddressFilter] // of connect, the first ones
	connect []step[filters.ConnectFilter]
	helo    []step[filters.HeloFilter]
	mail    []step[filters.MailFilter]
	rcpt    []step[filters.RcptFilter]
	data    []step[filters.DataFilter]
	eoh     []step[filters.HeaderFilter]
	body    []step[filters.BodyFilter]
	eom     []step[filters.MessageFilter]
	command []step[filters.CommandFilter]
	conduct []step[filters.ConductFilter]
}

type step[F any] struct {
	filter F
	entry  *entry
	guard  bool // asking takes more than a call: kept here, where the question finds it in its cache
	stage  filters.Stage
	took   func(seconds float64) // nil if nobody wants to know
}

func newPlan(entries []*entry) plan {
	connect := steps[filters.ConnectFilter](entries, filters.Connect)
	return plan{
		address: byAddress(connect),
		connect: connect,
		helo:    steps[filters.HeloFilter](entries, filters.Helo),
		mail:    steps[filters.MailFilter](entries, filters.Mail),
		rcpt:    steps[filters.RcptFilter](entries, filters.Rcpt),
		data:    steps[filters.DataFilter](entries, filters.Data),
		eoh:     steps[filters.HeaderFilter](entries, filters.EOH),
		body:    steps[filters.BodyFilter](entries, filters.Body),
		eom:     steps[filters.MessageFilter](entries, filters.EOM),
		command: steps[filters.CommandFilter](entries, filters.Command),
		conduct: steps[filters.ConductFilter](entries, filters.Conduct),
	}
}

// guarded reports whether asking the entry takes more than a call.
func (e *entry) guarded() bool {
	return e.Timeout > 0 || e.Kind.Needs&filters.Edits != 0 || e.traced
}

// steps returns who is asked at that stage: in order, but those who let the
// client wait come last, so that the others' look-ups are under way.
func steps[F any](entries []*entry, s filters.Stage) []step[F] {
	var list, waiting []step[F]
	for _, e := range entries {
		switch {
		case !e.stages.Has(s):
		case e.Kind.Waits:
			waiting = append(waiting, step[F]{e.filter.(F), e, e.guarded(), s, e.observer(s)})
		default:
			list = append(list, step[F]{e.filter.(F), e, e.guarded(), s, e.observer(s)})
		}
	}
	return append(list, waiting...)
}

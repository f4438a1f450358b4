package milter

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
)

// actionsFor is what an MTA must let us do for a chain with those needs.
func actionsFor(needs filters.Needs) lib.OptAction {
	var a lib.OptAction
	for _, n := range []struct {
		need    filters.Needs
		actions lib.OptAction
	}{
		{filters.DoQuarantine, lib.OptQuarantine},
		{filters.EditHeader, lib.OptAddHeader | lib.OptChangeHeader},
		{filters.EditSender, lib.OptChangeFrom},
		{filters.EditRcpt, lib.OptAddRcpt | lib.OptAddRcptWithArgs | lib.OptRemoveRcpt},
		{filters.EditBody, lib.OptChangeBody},
	} {
		if needs&n.need != 0 {
			a |= n.actions
		}
	}
	return a
}

// noReply are the options that save the MTA a wait for an answer.
var noReply = map[filters.Stage]lib.OptProtocol{
	filters.Connect: lib.OptNoConnReply,
	filters.Helo:    lib.OptNoHeloReply,
	filters.Mail:    lib.OptNoMailReply,
	filters.Rcpt:    lib.OptNoRcptReply,
	filters.Data:    lib.OptNoDataReply,
	filters.EOH:     lib.OptNoEOHReply,
	filters.Body:    lib.OptNoBodyReply,
	filters.Command: lib.OptNoUnknownReply,
}

// protocolFor is what an MTA may leave out for a chain that is asked at those
// stages. Client, HELO, sender and recipients are always told: the log names
// them. The answer to them is wanted from the first stage on at which a filter
// may refuse, for a refusal may wait until RCPT. Header fields are never
// answered: they are judged when all of them are there.
func protocolFor(wants filters.Stages) lib.OptProtocol {
	p := lib.OptNoHeaderReply
	for s := filters.Connect; s <= filters.Rcpt && !wants.Has(s); s++ {
		p |= noReply[s]
	}
	if !wants.Has(filters.Data) {
		p |= lib.OptNoData
	}
	switch {
	case wants.Has(filters.Body): // which is shown the header section too
		p |= lib.OptSkip | lib.OptHeaderLeadingSpace
	case wants.Has(filters.EOH):
		p |= lib.OptNoBody | lib.OptHeaderLeadingSpace
	default:
		p |= lib.OptNoBody | lib.OptNoHeaders | lib.OptNoEOH
	}
	if !wants.Has(filters.Command) {
		p |= lib.OptNoUnknown
	}
	return p
}

// heard reports whether the MTA waits for an answer at that stage.
func heard(p lib.OptProtocol, at filters.Stage) bool { return p&noReply[at] == 0 }

// Versions of the protocol.
const (
	oldest = 2
	newest = 6 // progress, skip, another sender
)

// negotiate takes of our wishes what the MTA offers. What it does not leave out
// does no harm; what it cannot do is logged, at the first time. Packets are
// never greater than 64 KiB, whatever it offers.
func (t *terms) negotiate(mta, _ uint32, mtaCan, _ lib.OptAction, mtaOffers, _ lib.OptProtocol, _ lib.DataSize) (
	uint32, lib.OptAction, lib.OptProtocol, lib.DataSize, error,
) {
	if mta < oldest {
		t.warn("cannot serve an MTA", "error", fmt.Sprintf("its milter protocol has version %d, want %d or more", mta, oldest))
		return 0, 0, 0, 0, fmt.Errorf("version %d of the protocol", mta)
	}
	version := min(mta, newest)
	t.first.Do(func() { t.logMissing(version, t.actions&^mtaCan) })
	return version, (t.actions | lib.OptSetMacros) & mtaCan, t.protocol & mtaOffers, lib.DataSize64K, nil
}

// logMissing tells what will not work.
func (t *terms) logMissing(version uint32, missing lib.OptAction) {
	if version < newest {
		t.warn("the MTA is old", "protocol", version,
			"error", "it takes no sign of life while a message is judged, and no other sender")
	}
	if missing != 0 {
		t.warn("the MTA does not offer all that the chain needs", "missing", missing.String(),
			"error", "messages that need it are refused with 451")
	}
}

// warn logs what concerns the listener.
func (t *terms) warn(msg string, args ...any) {
	t.Log.With("listener", t.Name).Warn(msg, args...)
}

// libraryWarns is where the library's warnings go: it has one place for all.
var libraryWarns atomic.Pointer[slog.Logger]

// libraryLog sends the library's warnings to the log of the newest milter.
func libraryLog(log *slog.Logger) {
	if libraryWarns.Swap(log) == nil {
		lib.LogWarning = func(format string, v ...any) {
			if !strings.Contains(format, "macros since MTA") { // each has a fallback
				libraryWarns.Load().Warn("milter library", "error", fmt.Sprintf(format, v...))
			}
		}
	}
}

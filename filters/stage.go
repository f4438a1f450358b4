package filters

import (
	"fmt"
	"math/bits"
	"strings"
)

// Stage is a point of the SMTP dialogue at which filters are asked.
type Stage uint8

// The stages in the order of the dialogue. Two stand outside of it: Command is
// asked for verbs that belong to no transaction (VRFY, EXPN, ETRN, HELP ...),
// Conduct when the wire shows what no mail server does.
const (
	Connect Stage = iota // a client has connected, before the greeting
	Helo                 // HELO or EHLO
	Mail                 // MAIL FROM
	Rcpt                 // RCPT TO, once for each recipient
	Data                 // DATA, or the first BDAT
	EOH                  // the header section is complete
	Body                 // content, as it passes
	EOM                  // the message is complete, before it is acknowledged
	Command              // any other verb
	Conduct              // a breach of the protocol
)

var stageNames = [...]string{"connect", "helo", "mail", "rcpt", "data", "eoh", "body", "eom", "command", "conduct"}

// String returns the stage's name as it is written in configurations and logs.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// OfSession reports whether what is found at the stage holds for the session, and
// not only for a transaction.
func (s Stage) OfSession() bool { return s <= Helo || s == Conduct }

// Stages is a set of stages.
type Stages uint16

// StageSet returns the set of the given stages.
func StageSet(stages ...Stage) Stages {
	var set Stages
	for _, s := range stages {
		set |= 1 << s
	}
	return set
}

// AllStages is the set of every stage.
const AllStages Stages = 1<<len(stageNames) - 1

// Has reports whether the set contains s.
func (set Stages) Has(s Stage) bool { return set&(1<<s) != 0 }

// Each returns the stages of the set in the order of the dialogue.
func (set Stages) Each() []Stage {
	list := make([]Stage, 0, bits.OnesCount16(uint16(set)))
	for s := Connect; int(s) < len(stageNames); s++ {
		if set.Has(s) {
			list = append(list, s)
		}
	}
	return list
}

// String returns the names of the set's stages, separated by spaces.
func (set Stages) String() string {
	var names []string
	for _, s := range set.Each() {
		names = append(names, s.String())
	}
	return strings.Join(names, " ")
}

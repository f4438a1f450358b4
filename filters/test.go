package filters

import "fmt"

// Test is the switch of one test in a kind that makes several: on, off, or
// only observed while the others are in force.
type Test string

// The positions of a switch.
const (
	Off     Test = "false"
	On      Test = "true"   // its findings are what the entry's action says
	Observe Test = "ignore" // its findings are logged and counted, and nothing more
)

// Words returns the positions there are.
func (Test) Words() []string { return []string{string(On), string(Off), string(Observe)} }

// UnmarshalText reads a position.
func (t *Test) UnmarshalText(text []byte) error {
	switch *t = Test(text); *t {
	case On, Off, Observe:
		return nil
	}
	return fmt.Errorf("want true, false or ignore, got %q", text)
}

// Made reports whether the test is made at all.
func (t Test) Made() bool { return t == On || t == Observe }

// Finds returns what is to be made of a verdict that the test led to.
func (t Test) Finds(v Verdict) Verdict {
	switch {
	case t == Off || v == Verdict{}:
		return Verdict{}
	case t == Observe && v.Finding != nil:
		observed := *v.Finding
		observed.Observed = true
		v.Finding = &observed
	}
	return v
}

// Gravest returns, of what several tests found, the first that is more than
// observed, or else the first.
func Gravest(verdicts ...Verdict) Verdict {
	var first Verdict
	for _, v := range verdicts {
		switch {
		case v == Verdict{}:
		case v.Finding == nil || !v.Finding.Observed:
			return v
		case first == Verdict{}:
			first = v
		}
	}
	return first
}

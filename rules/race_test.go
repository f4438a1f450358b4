//go:build race

package rules_test

// raceEnabled tells that the race detector is at work. It slows everything down,
// and makes pools forget.
const raceEnabled = true

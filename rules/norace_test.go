//go:build !race

package rules_test

// raceEnabled tells that the race detector is at work.
const raceEnabled = false

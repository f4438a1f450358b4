//go:build race

package relay_test

const raceShare = 10 << 10 // what the race detector adds to a session, in octets

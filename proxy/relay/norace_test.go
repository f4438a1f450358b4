//go:build !race

package relay_test

const raceShare = 0

package filtertest

import (
	"testing"

	"github.com/mailweir/mailweir/filters/zone"
)

// Zone is a resolver that knows what a test tells it.
type Zone = zone.Zone

// NewZone returns a zone with what Zone.Add takes.
func NewZone(t testing.TB, text string) *Zone {
	t.Helper()
	z := zone.New()
	if err := z.Add(text); err != nil {
		t.Fatal(err)
	}
	return z
}

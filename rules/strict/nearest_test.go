package strict

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"listeners", "log", "hostname", "helo", "fqdn"}
	for word, want := range map[string]string{
		"listener":  "listeners",
		"listenres": "listeners",
		"hostnane":  "hostname",
		"fqnd":      "fqdn",
		"hello":     "helo",
		"lag":       "log",
		"chain":     "",
		"x":         "",
		"":          "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

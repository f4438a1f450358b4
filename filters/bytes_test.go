package filters_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]filters.Bytes{
		"0": 0, "52428800": 50 << 20, "25MiB": 25 << 20, "10MB": 10_000_000,
		"1 GiB": 1 << 30, "3kb": 3000, "7B": 7, "2gb": 2e9, "1kib": 1024,
	} {
		var got filters.Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q reads as %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestBytesErrors(t *testing.T) {
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "5 apples", "5MM", "9223372036854775807kB", "0x10"} {
		var b filters.Bytes
		err := b.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "KiB, MiB or GiB") {
			t.Errorf("%q: error %v does not list the units", text, err)
		}
	}
}

func TestBytesString(t *testing.T) {
	for b, want := range map[filters.Bytes]string{
		0: "0B", 7: "7B", 50 << 20: "50MiB", 10_000_000: "10MB", 1 << 30: "1GiB", 1500: "1500B",
	} {
		if got := b.String(); got != want {
			t.Errorf("%d octets print as %q, want %q", int64(b), got, want)
		}
	}
}

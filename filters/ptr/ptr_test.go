package ptr_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/ptr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var client = netip.MustParseAddr("192.0.2.7")

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		want       []string
		none       bool
	}{
		{"order and case", "7.2.0.192.in-addr.arpa PTR b.example.\n7.2.0.192.in-addr.arpa PTR A.example.\n7.2.0.192.in-addr.arpa PTR a.Example.", []string{"a.example", "b.example"}, false},
		{"no names of hosts", `7.2.0.192.in-addr.arpa PTR a\013\010b.example.` + "\n" + `7.2.0.192.in-addr.arpa PTR a\000b.example.`, nil, false},
		{"none", "other.example A 192.0.2.7", nil, true},
	} {
		names, err := ptr.Names(t.Context(), filtertest.NewZone(t, c.zone), client)
		if diff := cmp.Diff(c.want, names); diff != "" || filters.NotFound(err) != c.none {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

func TestNamesFail(t *testing.T) {
	_, err := ptr.Names(t.Context(), filtertest.NewZone(t, "7.2.0.192.in-addr.arpa SERVFAIL"), client)
	if err == nil || filters.NotFound(err) {
		t.Error(err)
	}
}

func TestConfirm(t *testing.T) {
	const zone = `
good.example A 192.0.2.1
good.example A 192.0.2.7
six.example AAAA 2001:db8::7
other.example A 192.0.2.8
broken.example SERVFAIL
slow.example DELAY 1s
slow.example A 192.0.2.7
silent.example DROP
`
	for _, c := range []struct {
		addr, names, want string
		fails             bool
		took              time.Duration
	}{
		{"192.0.2.7", "good.example", "good.example", false, 0},
		{"192.0.2.7", "other.example none.example six.example", "", false, 0},
		{"2001:db8::7", "good.example six.example", "six.example", false, 0},
		{"192.0.2.7", "other.example good.example slow.example", "good.example", false, 0},
		{"192.0.2.7", "slow.example good.example silent.example", "slow.example", false, time.Second},
		{"192.0.2.7", "broken.example good.example", "good.example", true, 0},
		{"192.0.2.7", "broken.example other.example", "", true, 0},
		{"192.0.2.7", "silent.example good.example", "good.example", true, 3 * time.Second},
		{"192.0.2.7", "", "", false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			got, err := ptr.Confirm(ctx, filtertest.NewZone(t, zone), strings.Fields(c.names), netip.MustParseAddr(c.addr))
			if got != c.want || (err != nil) != c.fails || time.Since(began) != c.took {
				t.Errorf("%s of %s: %q, %v, after %v", c.names, c.addr, got, err, time.Since(began))
			}
		})
	}
}

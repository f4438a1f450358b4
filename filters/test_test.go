package filters_test

import (
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
)

func TestSwitch(t *testing.T) {
	found := filters.Refuse("bad", 550, [3]uint16{5, 7, 1}, "Bad")
	for _, c := range []struct {
		word     string
		made     bool
		action   filters.Action
		observed bool
	}{
		{"true", true, filters.Reject, false},
		{"ignore", true, filters.Reject, true},
		{"false", false, filters.Continue, false},
	} {
		var sw filters.Test
		if err := sw.UnmarshalText([]byte(c.word)); err != nil {
			t.Fatal(err)
		}
		v := sw.Finds(found)
		if sw.Made() != c.made || v.Action != c.action || v.Finding != nil && v.Finding.Observed != c.observed {
			t.Errorf("%s: made %v, %s", c.word, sw.Made(), filtertest.Show(v))
		}
		if nothing := (filters.Verdict{}); sw.Finds(nothing) != nothing {
			t.Errorf("%s: makes something of nothing", c.word)
		}
	}
	if found.Finding.Observed {
		t.Error("the filter's own finding was changed")
	}
	var sw filters.Test
	if err := sw.UnmarshalText([]byte("yes")); err == nil {
		t.Error("yes is no position")
	}
}

func TestGravest(t *testing.T) {
	a := filters.Observe.Finds(filters.Refuse("a", 550, [3]uint16{}, ""))
	b := filters.Observe.Finds(filters.Refuse("b", 550, [3]uint16{}, ""))
	c := filters.On.Finds(filters.Refuse("c", 550, [3]uint16{}, ""))
	none := filters.Verdict{}
	for _, tc := range []struct {
		of   []filters.Verdict
		want filters.Verdict
	}{
		{nil, none},
		{[]filters.Verdict{none, none}, none},
		{[]filters.Verdict{none, a, b}, a},
		{[]filters.Verdict{a, b, c, none}, c},
	} {
		if got := filters.Gravest(tc.of...); got != tc.want {
			t.Errorf("%v: %v", tc.of, got)
		}
	}
}

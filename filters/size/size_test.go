package size_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/size"
)

type filter interface {
	filters.MailFilter
	filters.BodyFilter
	filters.Announcer
}

func newFilter(t *testing.T, options string) filter {
	env, _ := filtertest.Env("")
	return filtertest.New[filter](t, env, size.Kind, options)
}

func TestDeclared(t *testing.T) {
	for _, c := range []struct {
		options  string
		declared int64
		want     string
	}{
		{"max: 1MB", 0, "continue"},
		{"max: 1MB", 1_000_000, "continue"},
		{"max: 1MB", 1_000_001, "552 5.3.4 declared_size"},
		{"max: 1000", 1001, "552 5.3.4 declared_size"},
		{"", 50 << 20, "continue"},
		{"", 50<<20 + 1, "552 5.3.4 declared_size"},
	} {
		f := newFilter(t, c.options)
		if got := filtertest.Show(f.Mail(context.Background(), &filters.Transaction{Declared: c.declared})); got != c.want {
			t.Errorf("{%s} SIZE=%d: %s, want %s", c.options, c.declared, got, c.want)
		}
	}
}

func TestCounted(t *testing.T) {
	for _, c := range []struct {
		pieces []int // octets of each
		err    error // of the last write
		want   string
	}{
		{nil, nil, "continue"},
		{[]int{60, 40}, nil, "continue"},
		{[]int{60, 41}, filters.ErrDecided, "552 5.3.4 size"},
		{[]int{1000}, filters.ErrDecided, "552 5.3.4 size"},
	} {
		sink := newFilter(t, "max: 100").Body(context.Background(), nil)
		var err error
		for _, n := range c.pieces {
			_, err = sink.Write(make([]byte, n))
		}
		if err != c.err {
			t.Errorf("pieces of %d: write error %v, want %v", c.pieces, err, c.err)
		}
		if got := filtertest.Show(sink.(filters.Finisher).Finish(context.Background())); got != c.want {
			t.Errorf("pieces of %d: %s, want %s", c.pieces, got, c.want)
		}
	}
}

func TestTextNamesTheLimit(t *testing.T) {
	v := newFilter(t, "max: 25MiB").Mail(context.Background(), &filters.Transaction{Declared: 1 << 40})
	if text := v.Finding.Reply.Text; !strings.Contains(text, "25MiB (26214400 octets)") {
		t.Errorf("text %q does not name the limit", text)
	}
}

func TestAnnounce(t *testing.T) {
	for offered, want := range map[int64]int64{0: 1000, 500: 500, 2000: 1000} {
		a := filters.Announcement{Size: offered}
		newFilter(t, "max: 1kB").Announce(&a)
		if a.Size != want {
			t.Errorf("SIZE %d becomes %d, want %d", offered, a.Size, want)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	env, _ := filtertest.Env("")
	for options, want := range map[string]string{
		"max: 0":        "would refuse all mail",
		"max: 5 apples": "KiB, MiB or GiB",
		"max: -5":       "KiB, MiB or GiB",
	} {
		_, err := filtertest.Build(env, size.Kind, options)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", options, err, want)
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	f := newFilter(t, "")
	sink := f.Body(context.Background(), nil)
	tx, piece := &filters.Transaction{Declared: 1000}, make([]byte, 1000)
	n := testing.AllocsPerRun(100, func() {
		f.Mail(context.Background(), tx)
		sink.Write(piece)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

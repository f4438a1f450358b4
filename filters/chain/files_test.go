package chain_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// sourced is a filter made of files.
type sourced []string

func (f sourced) Files() []string { return f }

func TestFiles(t *testing.T) {
	var specs []chain.Spec
	for _, f := range []filters.Filter{sourced{"b", "a"}, struct{}{}, sourced{"c", "b"}} {
		kind := filters.Kind{Name: "sourced", New: func(filters.Env, any) (filters.Filter, error) { return f, nil }}
		specs = append(specs, chain.Spec{Kind: kind})
	}
	c, err := chain.Build(filters.Env{Log: slog.New(slog.DiscardHandler)}, specs, chain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Files(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Error(got)
	}
}

package configs_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
)

// env is what the filters under test get.
func env() filters.Env {
	return filters.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

// build makes the chain and closes it again.
func build(t *testing.T, c *configs.Config) {
	t.Helper()
	built, err := c.Build(env())
	if err != nil {
		t.Fatal(err)
	}
	if err := built.Close(); err != nil {
		t.Error(err)
	}
}

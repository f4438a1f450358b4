package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/configs"
)

// FuzzLoad holds Parse to return in time, without a panic, and either problems
// or a configuration that can be used.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(grouped))
	for _, pattern := range []string{"testdata/*.yaml", "examples/*.yaml", "examples/*/*.yaml", "default.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		c, err := configs.Parse(allKinds(), "fuzz.yaml", data)
		if took := time.Since(start); took > 20*time.Second {
			t.Fatalf("took %v", took)
		}
		if err != nil {
			if err.Error() == "" || strings.ContainsRune(err.Error(), '\x1b') {
				t.Fatalf("%q", err)
			}
			return
		}
		usable(t, c)
	})
}

// usable checks what those who use a configuration rely on.
func usable(t *testing.T, c *configs.Config) {
	t.Helper()
	if len(c.Listeners) == 0 || c.Sessions.Max < 1 {
		t.Errorf("%+v", c)
	}
	names := map[string]bool{}
	for _, l := range c.Listeners {
		if l.Name == "" || l.Address == "" || (len(l.Upstream.Servers) == 0) != (l.Mode == configs.MTA) || l.Timeouts.Command <= 0 || names[l.Name] {
			t.Errorf("%+v", l)
		}
		names[l.Name] = true
	}
	names = map[string]bool{}
	for _, g := range c.Groups() {
		if g.Name == "" || names[g.Name] || len(g.Servers) == 0 || g.MaxConnections < 1 {
			t.Errorf("%+v", g)
		}
		names[g.Name] = true
	}
	for _, l := range c.Listeners {
		for _, r := range l.Routes {
			if len(r.Domains) == 0 || !names[r.Upstream.Name] || !names[l.Upstream.Name] {
				t.Errorf("%+v", r)
			}
		}
	}
	for _, e := range c.Chain {
		if e.Kind.New == nil || e.Conf == nil || e.Name == "" || e.Pos == "" {
			t.Errorf("%+v", e)
		}
	}
}

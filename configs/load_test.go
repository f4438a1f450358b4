package configs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

const minimal = `listeners: [{name: mx, address: ":25", upstream: {address: "127.0.0.1:10025"}}]
`

// TestLayers checks who has the last word: flags, environment, file, defaults.
func TestLayers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mailweir.yaml")
	text := minimal + "log: {level: warn}\ndrain_timeout: 10s\nsessions: {max: 10}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAILWEIR_DRAIN_TIMEOUT", "20s")
	t.Setenv("MAILWEIR_SESSIONS_MAX", "20")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	configs.Flags(flags)
	if err := flags.Parse([]string{"--sessions-max=30"}); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(allKinds(), configs.Source{File: file, Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	if c.Log.Format != configs.Text {
		t.Errorf("default: %v", c.Log.Format)
	}
	if c.Log.Level != "warn" {
		t.Errorf("file: %v", c.Log.Level)
	}
	if c.DrainTimeout != 20*time.Second {
		t.Errorf("environment: %v", c.DrainTimeout)
	}
	if c.Sessions.Max != 30 {
		t.Errorf("flag: %v", c.Sessions.Max)
	}
}

// TestChain checks what becomes of the chain's entries.
func TestChain(t *testing.T) {
	c, err := configs.Parse(allKinds(), "dir/mx.yaml", []byte(minimal+`
delay_reject: helo
chain:
  - probe: &zones {zones: [{name: a}, {name: b}], nested: {name: c}, free: [1, {x: y}], ports: {smtp: 25}}
    action: drop
  - probe: {<<: *zones, count: 7}
    name: second
    listeners: [mx]
    timeout: 2s
  - helo:
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Dir != "dir" || c.DelayReject.Stage() != filters.Helo {
		t.Errorf("dir %q, delay %v", c.Dir, c.DelayReject.Stage())
	}
	first, second := c.Chain[0], c.Chain[1]
	conf := probe{
		Zones:  []zone{{"a"}, {"b"}},
		Nested: &zone{"c"},
		Free:   []any{uint64(1), map[string]any{"x": "y"}},
		Ports:  map[string]int{"smtp": 25},
		Switch: filters.On,
	}
	if diff := cmp.Diff(&conf, first.Conf); diff != "" {
		t.Error(diff)
	}
	conf.Count = 7
	if diff := cmp.Diff(&conf, second.Conf); diff != "" {
		t.Error(diff)
	}
	if first.Action != chain.Drop || first.Name != "probe" || first.Pos != "dir/mx.yaml:5:5" {
		t.Errorf("first: %v %v %v", first.Action, first.Name, first.Pos)
	}
	if second.Name != "second" || second.Timeout != 2*time.Second || len(second.Listeners) != 1 {
		t.Errorf("second: %+v", second)
	}
}

// TestHostile checks that files made to exhaust the parser are refused soon.
func TestHostile(t *testing.T) {
	bomb := "a0: &a0 [x, x]\n"
	for i := range 40 {
		bomb += fmt.Sprintf("      a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	for name, text := range map[string]string{
		"brackets":    strings.Repeat("[", 100_000),
		"braces":      strings.Repeat("{a: ", 50_000),
		"dashes":      strings.Repeat("- ", 400_000),
		"anchors":     strings.Repeat("&a ", 80_000),
		"tags":        strings.Repeat("!a ", 80_000),
		"keys":        strings.Repeat("? ", 400_000),
		"values":      strings.Repeat("a: ", 80_000),
		"empty lines": "a: |\n" + strings.Repeat(" \n", 400_000),
		"many keys":   strings.Repeat("a: b\n", 90_000),
		"long":        strings.Repeat("#", 2<<20),
		"binary":      "hostname: \xff\xfe",
		"circle":      "chain: &a [*a, *a]",
		"merge":       "log: &a {<<: *a}",
		"bomb":        "chain:\n- probe:\n    free:\n      " + bomb,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := configs.Parse(allKinds(), name, []byte(text))
			if err == nil {
				t.Error("nothing is wrong with it")
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			t.Log(err)
		})
	}
}

func TestQuarantine(t *testing.T) {
	c, err := configs.Parse(allKinds(), "c.yaml", []byte(`
listeners: [{ name: mx, address: ":25", upstream: { address: "127.0.0.1:10025" } }]
chain:
  - access:
    quarantine: { header: "X-Set-Aside: yes, it is", redirect: abuse@example.com }
`))
	if err != nil {
		t.Fatal(err)
	}
	q := c.Chain[0].Quarantine
	if q.Field.Name != "X-Set-Aside" || q.Field.Value != "yes, it is" || q.Redirect != "<abuse@example.com>" {
		t.Errorf("quarantine = %+v", q)
	}
}

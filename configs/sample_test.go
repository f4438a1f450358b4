package configs_test

import (
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

var update = flag.Bool("update", false, "write default.yaml and the goldens anew")

// TestSample holds default.yaml to what the options and kinds say. After a
// change of them: go test ./configs -update
func TestSample(t *testing.T) {
	want := configs.Sample(standard.Kinds())
	if *update {
		if err := os.WriteFile("default.yaml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(configs.Default())); diff != "" {
		t.Errorf("default.yaml is out of date, run: go test ./configs -update\n%s", diff)
	}
	c, err := configs.Parse(standard.Kinds(), "default.yaml", []byte(want))
	if err != nil {
		t.Fatal(err)
	}
	build(t, c)
}

var commentedOut = regexp.MustCompile(`(?m)^( *)#([a-z_]+: |  )`)

// TestSampleDefaults takes the comment signs from all options: what the sample
// shows must be what is in force without it.
func TestSampleDefaults(t *testing.T) {
	sample := configs.Default()
	shown, err := configs.Parse(standard.Kinds(), "default.yaml", commentedOut.ReplaceAll(sample, []byte("$1$2")))
	if err != nil {
		t.Fatal(err)
	}
	inForce, err := configs.Parse(standard.Kinds(), "default.yaml", sample)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(described(inForce), described(shown)); diff != "" {
		t.Error(diff)
	}
}

// described returns all options of a configuration as text.
func described(c *configs.Config) []configs.Option {
	all := configs.Options(c)
	for _, l := range c.Listeners {
		all = append(all, configs.Options(l)...)
	}
	for _, e := range c.Chain {
		all = append(all, configs.Options(e.Conf)...)
	}
	return all
}

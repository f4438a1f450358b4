package configs_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/standard"
)

// probe has an option of each type that the standard kinds do without.
type probe struct {
	Weight  float64        `yaml:"weight" min:"0" max:"1" doc:"a weight"`
	Count   uint8          `yaml:"count" doc:"a count"`
	Ports   map[string]int `yaml:"ports" min:"1" doc:"ports by name"`
	Zones   []zone         `yaml:"zones" doc:"zones"`
	Nested  *zone          `yaml:"nested" doc:"one more zone"`
	Free    any            `yaml:"free" doc:"anything"`
	Message string         `yaml:"message" doc:"a text"`
	Lists   []list         `yaml:"lists" doc:"lists, by name or in full"`
	Best    list           `yaml:"best" doc:"the best of them"`
	Switch  filters.Test   `yaml:"switch" doc:"a test"`
}

type zone struct {
	Name string `yaml:"name" required:"true" doc:"what to look up"`
}

// list may be written as its name alone.
type list struct {
	Name   string `yaml:"name" required:"true" doc:"what it is called"`
	Weight int    `yaml:"weight" max:"9" doc:"what it counts"`
	Key    string `yaml:"key" secret:"true" doc:"a customer's key"`
	Text   bool   `yaml:"-"`
}

func (l *list) SetDefaults() { l.Weight = 1 }

func (l *list) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("want the name of a list")
	}
	*l = list{Name: string(text), Weight: 5, Text: true}
	return nil
}

// observedKind is one whose entries do nothing unless they say so.
func observedKind() filters.Kind {
	return filters.Define(filters.Kind{Name: "observed", Doc: "Does nothing.", Observe: true, Lenient: true}, struct{}{},
		func(filters.Env, *struct{}) (filters.Filter, error) { return struct{}{}, nil })
}

func probeKind() filters.Kind {
	return filters.Define(filters.Kind{Name: "probe", Doc: "Does nothing."}, probe{Switch: filters.On},
		func(filters.Env, *probe) (filters.Filter, error) { return struct{}{}, nil })
}

func allKinds() []filters.Kind { return append(standard.Kinds(), probeKind(), observedKind()) }

// load parses and builds a configuration.
func load(name string, data []byte) (*configs.Config, error) {
	c, err := configs.Parse(allKinds(), name, data)
	if err != nil {
		return nil, err
	}
	built, err := c.Build(env())
	if err != nil {
		return nil, err
	}
	return c, built.Close()
}

// TestWrong holds each wrong file to its own messages.
func TestWrong(t *testing.T) {
	for _, file := range glob(t, "testdata/*.yaml") {
		t.Run(strings.TrimPrefix(file, "testdata/"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = load(strings.TrimPrefix(file, "testdata/"), data)
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

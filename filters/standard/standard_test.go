package standard_test

import (
	"reflect"
	"testing"

	"github.com/mailweir/mailweir/filters/standard"
)

func TestFind(t *testing.T) {
	for _, k := range standard.Kinds() {
		if found, ok := standard.Find(k.Name); !ok || found.Name != k.Name {
			t.Errorf("%s is not found", k.Name)
		}
	}
	if _, ok := standard.Find("nonesuch"); ok {
		t.Error("nonesuch is found")
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range standard.Kinds() {
		if seen[k.Name] {
			t.Errorf("two kinds are called %s", k.Name)
		}
		seen[k.Name] = true
	}
}

func TestOptionsAreDocumented(t *testing.T) {
	for _, k := range standard.Kinds() {
		conf := reflect.TypeOf(k.Conf()).Elem()
		for i := range conf.NumField() {
			tag := conf.Field(i).Tag
			if tag.Get("yaml") == "" || tag.Get("doc") == "" {
				t.Errorf("%s: field %s lacks a yaml or doc tag", k.Name, conf.Field(i).Name)
			}
		}
	}
}

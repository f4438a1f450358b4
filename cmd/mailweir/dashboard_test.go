package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// dashboard reads the one for Grafana.
func dashboard(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "configs", "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// query is one of a dashboard.
type query struct{ where, expr string }

// queries returns all of them, wherever they stand, and holds what asks them to
// leave the data source to the reader.
func queries(t *testing.T, all any) (list []query) {
	t.Helper()
	switch node := all.(type) {
	case []any:
		for _, item := range node {
			list = append(list, queries(t, item)...)
		}
	case map[string]any:
		title, _ := node["title"].(string)
		if title == "" {
			title, _ = node["name"].(string)
		}
		expr, there := node["expr"].(string)
		if there {
			list = append(list, query{title, expr})
		}
		if from, ok := node["datasource"].(map[string]any); (ok || there) && from["uid"] != "${datasource}" {
			t.Errorf("%s asks %v, not ${datasource}", title, node["datasource"])
		}
		for _, key := range slices.Sorted(maps.Keys(node)) {
			for _, q := range queries(t, node[key]) {
				if q.where == "" {
					q.where = title
				}
				list = append(list, q)
			}
		}
	}
	return list
}

// variables returns what the reader can choose, and what that asks for.
func variables(t *testing.T, all map[string]any) map[string]string {
	t.Helper()
	chosen := map[string]string{}
	for _, item := range all["templating"].(map[string]any)["list"].([]any) {
		v := item.(map[string]any)
		definition, _ := v["definition"].(string)
		if v["type"] == "datasource" {
			definition = v["query"].(string)
		}
		chosen[v["name"].(string)] = definition
	}
	return chosen
}

// TestDashboard holds it to metrics, labels and variables that exist.
func TestDashboard(t *testing.T) {
	all, known := dashboard(t), series(t)
	chosen := variables(t, all)
	if chosen["datasource"] != "prometheus" {
		t.Errorf("the reader cannot choose the data source: %v", chosen)
	}
	for name, definition := range chosen {
		if name == "datasource" {
			continue
		}
		m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(definition)
		if m == nil || !slices.Contains(known[m[1]], m[2]) {
			t.Errorf("variable %s: %q", name, definition)
		}
	}
	list := queries(t, all)
	if len(list) < 30 {
		t.Errorf("%d queries were found", len(list))
	}
	for _, q := range list {
		known.check(t, q.where, q.expr)
		for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.expr, -1) {
			if _, ok := chosen[v[1]]; !ok && v[1] != "__rate_interval" {
				t.Errorf("%s: there is no variable %s", q.where, v[1])
			}
		}
	}
}

// TestPanels holds the panels to lie side by side.
func TestPanels(t *testing.T) {
	type field struct{ x, y int }
	taken, ids := map[field]string{}, map[float64]bool{}
	for _, item := range dashboard(t)["panels"].([]any) {
		p := item.(map[string]any)
		title, _ := p["title"].(string)
		id, _ := p["id"].(float64)
		if title == "" || id == 0 || ids[id] {
			t.Errorf("panel %v %q has no title or no number of its own", id, title)
		}
		ids[id] = true
		at := p["gridPos"].(map[string]any)
		x, y, w, h := int(at["x"].(float64)), int(at["y"].(float64)), int(at["w"].(float64)), int(at["h"].(float64))
		if x < 0 || w < 1 || x+w > 24 || h < 1 {
			t.Errorf("panel %s is at %v", title, at)
		}
		for i := range w {
			for j := range h {
				f := field{x + i, y + j}
				if other := taken[f]; other != "" {
					t.Fatalf("panel %s lies on %s", title, other)
				}
				taken[f] = title
			}
		}
	}
}

package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// metricsOf returns all metrics in the code.
func metricsOf(t *testing.T) (all []metric) {
	t.Helper()
	eachFile(t, func(path string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || passesOn(path) {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if m, ok := metricOf(t, path, call); ok {
					all = append(all, m)
				}
			}
			return true
		})
	})
	if len(all) == 0 {
		t.Fatal("no metric was found")
	}
	return all
}

// TestMetricNames holds all metrics to the rules of Prometheus, whether or not
// a configuration makes them: their names and helps are literals for that.
func TestMetricNames(t *testing.T) {
	all := metricsOf(t)
	docs, err := os.ReadFile("docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]metric{}
	for _, m := range all {
		if other, twice := seen[m.name]; twice && (m.kind != other.kind || m.help != other.help || !slices.Equal(m.labels, other.labels)) {
			t.Errorf("%s: %s is another one in %s", m.path, m.name, other.path)
		}
		seen[m.name] = m
		explained := regexp.MustCompile("(?m)^\\|.*`" + m.name + "`.* \\| (.*?) ?\\| .* \\|$").FindSubmatch(docs)
		if explained == nil {
			t.Errorf("%s: docs/monitoring.md does not explain %s", m.path, m.name)
		} else if labels := strings.Join(m.labels, ", "); string(explained[1]) != labels && string(explained[1]) != "the same" {
			t.Errorf("%s: docs/monitoring.md gives %s the labels %q, not %q", m.path, m.name, explained[1], labels)
		}
		m.lint(t)
	}
	for _, name := range regexp.MustCompile("mailweir_[a-z_]+").FindAllString(string(docs), -1) {
		if _, ok := seen[name]; !ok && name != "mailweir_build_info" {
			t.Errorf("docs/monitoring.md: there is no metric %s", name)
		}
	}
}

// passesOn reports whether the file is about metrics of any name.
func passesOn(path string) bool {
	dir := filepath.ToSlash(filepath.Dir(path))
	return strings.HasSuffix(dir, "filters/internal/metrics") || strings.HasSuffix(filepath.ToSlash(path), "/filters/metrics.go")
}

type metric struct {
	path, kind, name, help string
	labels                 []string
}

// metricOf reads a call of Counter, Gauge or Histogram.
func metricOf(t *testing.T, path string, call *ast.CallExpr) (metric, bool) {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	kinds := map[string]string{"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"}
	if !ok || kinds[fn.Sel.Name] == "" || len(call.Args) < 2 {
		return metric{}, false
	}
	m := metric{path: path, kind: kinds[fn.Sel.Name]}
	var named, helped bool
	m.name, named = text(call.Args[0])
	m.help, helped = text(call.Args[1])
	if !named || !helped {
		t.Errorf("%s: name and help of a %s are no literals", path, m.kind)
		return metric{}, false
	}
	rest := call.Args[2:]
	if m.kind == "histogram" {
		rest = call.Args[3:]
	}
	for _, arg := range rest {
		label, ok := text(arg)
		if !ok {
			t.Errorf("%s: a label of %s is no literal", path, m.name)
		}
		m.labels = append(m.labels, label)
	}
	return m, true
}

// text returns the text of a literal, or of several that are added.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := text(e.X)
		right, ok2 := text(e.Y)
		return left + right, ok && ok2
	}
	return "", false
}

// lint shows the metric as a scrape would, to those who know the rules.
func (m metric) lint(t *testing.T) {
	if !strings.HasPrefix(m.name, "mailweir_") {
		t.Errorf("%s: %s does not begin with mailweir_", m.path, m.name)
	}
	labels := ""
	for _, l := range m.labels {
		labels += fmt.Sprintf("%s=\"x\",", l)
	}
	shown := fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
	if m.kind == "histogram" {
		shown += fmt.Sprintf("%s_bucket{%sle=\"+Inf\"} 1\n%s_sum{%s} 1\n%s_count{%s} 1\n", m.name, labels, m.name, labels, m.name, labels)
	} else {
		shown += fmt.Sprintf("%s{%s} 1\n", m.name, labels)
	}
	problems, err := promlint.New(strings.NewReader(shown)).Lint()
	if err != nil {
		t.Errorf("%s: %s: %v", m.path, m.name, err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s: %s", m.path, p.Metric, p.Text)
	}
}

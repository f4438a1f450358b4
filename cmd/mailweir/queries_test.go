package main

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/mailweir/mailweir/filters/env"
)

// shown is what Prometheus knows: the labels of each time series, by its name.
type shown map[string][]string

// scraped are the labels that Prometheus itself puts on all of them.
var scraped = []string{"instance", "job"}

// series returns all that mailweir shows.
func series(t *testing.T) shown {
	t.Helper()
	all := shown{"up": scraped}
	for _, m := range metricsOf(t) {
		labels := append(slices.Clone(m.labels), scraped...)
		if m.kind != "histogram" {
			all[m.name] = labels
			continue
		}
		all[m.name+"_sum"], all[m.name+"_count"], all[m.name+"_bucket"] = labels, labels, append(slices.Clone(labels), "le")
	}
	host, err := env.Open(env.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	w := httptest.NewRecorder()
	host.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? `).FindAllStringSubmatch(w.Body.String(), -1) {
		if name := line[1]; all[name] == nil {
			all[name] = append(labelsIn(line[2]), scraped...)
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b(mailweir_\w+|go_\w+|process_\w+|up)\b(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	quoted   = regexp.MustCompile(`"[^"]*"`)
)

func labelsIn(text string) (labels []string) {
	for _, m := range matcher.FindAllStringSubmatch(text, -1) {
		labels = append(labels, m[1])
	}
	return labels
}

// check tells which series and labels of a query there are not, and returns the
// labels that its result may have.
func (all shown) check(t *testing.T, where, query string) (labels []string) {
	t.Helper()
	found := selector.FindAllStringSubmatch(query, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric in %s", where, query)
	}
	for _, s := range found {
		known := all[s[1]]
		if known == nil {
			t.Errorf("%s: there is no metric %s", where, s[1])
		}
		for _, l := range labelsIn(s[2]) {
			if !slices.Contains(known, l) {
				t.Errorf("%s: %s has no label %s", where, s[1], l)
			}
		}
		labels = append(labels, known...)
	}
	groups := grouping.FindAllStringSubmatch(quoted.ReplaceAllString(query, ""), -1)
	for _, g := range groups {
		var by []string
		for l := range strings.SplitSeq(g[1], ",") {
			by = append(by, strings.TrimSpace(l))
		}
		for _, l := range by {
			if !slices.Contains(labels, l) {
				t.Errorf("%s: nothing has a label %s", where, l)
			}
		}
		labels = by
	}
	return labels
}

var rulesFile = filepath.Join(top, "configs", "prometheus.rules")

// alert is one of Prometheus.
type alert struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) (list []alert) {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	for _, g := range file.Groups {
		list = append(list, g.Rules...)
	}
	if len(list) == 0 {
		t.Fatal("no alert was found")
	}
	return list
}

// TestAlerts holds each alert to metrics that exist, and to say what to do. Each
// has fired in testdata/alerts.yaml.
func TestAlerts(t *testing.T) {
	all := series(t)
	played, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		labels := all.check(t, a.Alert, a.Expr)
		if !strings.HasPrefix(a.Alert, "Mailweir") || !slices.Contains([]string{"warning", "critical"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		for _, name := range []string{"summary", "action"} {
			if a.Annotations[name] == "" {
				t.Errorf("%s has no %s", a.Alert, name)
			}
			for _, l := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(a.Annotations[name], -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s: the result has no label %s", a.Alert, l[1])
				}
			}
		}
		if !strings.Contains(string(played), fmt.Sprintf("alertname=%q", a.Alert)) {
			t.Errorf("testdata/alerts.yaml does not try %s", a.Alert)
		}
	}
}

// promtool runs the program of Prometheus that checks rules. Without it the test
// is skipped, or fails with CI=true.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	name, err := exec.LookPath("promtool")
	if err != nil {
		cache, _ := os.UserCacheDir() // where .ci/peers puts it
		name, err = exec.LookPath(filepath.Join(cache, "mailweir/peers/prometheus/usr/bin/promtool"))
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal("CI=true needs promtool (Debian package prometheus)")
	case err != nil:
		t.Skip("promtool is not there (Debian package prometheus)")
	}
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertsFire(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", "testdata/alerts.yaml")
}

// TestQueriesParse has Prometheus read each query of the dashboard, as if it were
// a rule.
func TestQueriesParse(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, q := range queries(t, dashboard(t)) {
		fmt.Fprintf(&rules, "      - {record: \"dashboard:query%d\", expr: %q}\n", i, strings.ReplaceAll(q.expr, "$__rate_interval", "5m"))
	}
	file := filepath.Join(t.TempDir(), "dashboard.rules")
	if err := os.WriteFile(file, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

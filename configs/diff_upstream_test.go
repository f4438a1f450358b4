package configs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/configs"
)

// TestDiffUpstreams goes through what may change about groups, and about those
// who use them.
func TestDiffUpstreams(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{groups("tls: {mode: none}"), groups("tls: {mode: required}"), "upstream inbound: tls.mode: none -> required"},
		{groups("address: 'b:25'"), groups("address: 'c:25'"), `upstream inbound: address: "b:25" -> "c:25"`},
		{groups("address: 'b:25'"), groups("servers: [{address: 'b:25'}]"), ""},
		{groups("address: 'b:25'"), groups("servers: [{address: 'a:25'}, {address: 'b:25', weight: 2}]"),
			"upstream inbound: servers[\"a:25\"]: added to the front\nupstream inbound: servers[\"b:25\"].weight: 1 -> 2"},
		{groups("tls: {mode: required, min_version: 1.2}"), groups(`tls: {mode: required, min_version: "1.3"}`),
			`upstream inbound: tls.min_version: "1.2" -> "1.3"`},
		{groups("tls: {mode: required}"), groups("tls: {mode: required, fingerprints: ['" + pinned + "']}"),
			`upstream inbound: tls.fingerprints: with "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"`},
		{groups("backoff: {max: 1m}"), groups("backoff: {max: 60s}"), ""},
		{of("upstream: inbound"), of("upstream: lists"), "listener mx: upstream: inbound -> lists"},
		{of("upstream: inbound"), of("upstream: {address: 'a:25'}"), `listener mx: upstream: inbound -> {address: "a:25"}`},
		{of("upstream: {servers: [{address: 'a:25'}, {address: 'b:25'}]}"), of("upstream: inbound"),
			`listener mx: upstream: {servers: ["a:25", "b:25"]} -> inbound`},
		{of("upstream: {address: 'a:25'}"), of("upstream: {address: 'a:25', identity: xclient}"), "listener mx: upstream.identity: none -> xclient"},
		{of("upstream: {address: 'a:25'}"), of("upstream: {address: 'b:25'}"), `listener mx: upstream.address: "a:25" -> "b:25"`},
		{"upstreams: [{name: lists, address: 'l:25'}]\n" + single, "upstreams: [{name: archive, address: 'l:25'}]\n" + single,
			"upstream lists: removed\nupstream archive: added"},
		{of("upstream: inbound, tls: {certificates: [{certificate: a.pem, key: a.key}]}"),
			of("upstream: inbound, tls: {certificates: [{certificate: a.pem, key: b.key}, {certificate: c.pem, key: c.key}], require: true}, auth: {max_failures: 3}"),
			"listener mx: tls.certificates[a.pem].key: a.key -> b.key\nlistener mx: tls.certificates[c.pem]: added behind a.pem\n" +
				"listener mx: tls.require: false -> true\nlistener mx: auth.max_failures: 10 -> 3"},
	} {
		if d := cmp.Diff(c.want, changes(t, c.old, c.now)); d != "" {
			t.Errorf("%s\n%s\n%s", c.old, c.now, d)
		}
	}
}

// TestDiffRoutes holds routes to be compared domain by domain.
func TestDiffRoutes(t *testing.T) {
	routes := func(list string) string { return of("upstream: inbound, routes: [" + list + "]") }
	for _, c := range []struct{ old, now, want string }{
		{"{domains: [a.example], upstream: lists}, {domains: [.b.example], upstream: inbound}",
			"{domains: [.b.example], upstream: inbound}, {domains: [A.example], upstream: lists}", ""},
		{"{domains: [a.example, b.example], upstream: lists}", "{domains: [b.example, .c.example], upstream: lists}",
			"routes[a.example]: removed\nroutes[.c.example]: added, to lists"},
		{"{domains: [a.example], upstream: lists}", "{domains: [a.example], upstream: inbound}", "routes[a.example].upstream: lists -> inbound"},
		{"{domains: [a.example, b.example], upstream: lists}", "{domains: [a.example, b.example], upstream: {address: 'x:25'}}",
			"routes[a.example].upstream: lists -> {address: \"x:25\"}\nroutes[b.example].upstream: lists -> {address: \"x:25\"}"},
		{"{domains: [a.example, b.example], upstream: {address: 'x:25'}}", "{domains: [a.example, b.example], upstream: {address: 'y:25'}}",
			`routes[a.example].upstream.address: "x:25" -> "y:25"`},
	} {
		want := ""
		for line := range strings.Lines(c.want) {
			want += "listener mx: " + line
		}
		if d := cmp.Diff(want, changes(t, routes(c.old), routes(c.now))); d != "" {
			t.Errorf("%s\n%s\n%s", c.old, c.now, d)
		}
	}
}

const single = "listeners: [{name: mx, address: ':25', upstream: {address: 'a:25'}}]\n"

// groups is a configuration whose group has those settings.
func groups(settings string) string {
	if !strings.Contains(settings, "address: ") {
		settings += ", address: 'a:25'"
	}
	return "upstreams: [{name: inbound, " + settings + "}]\nlisteners: [{name: mx, address: ':25', upstream: inbound}]\n"
}

// of is a configuration whose listener has those settings.
func of(settings string) string {
	return "upstreams: [{name: inbound, address: 'i:25'}, {name: lists, address: 'l:25'}]\nlisteners: [{name: mx, address: ':25', " + settings + "}]\n"
}

func changes(t *testing.T, old, now string) string {
	t.Helper()
	var lines []string
	for _, c := range configs.Diff(parseText(t, old), parseText(t, now)) {
		if c.Restart {
			t.Errorf("%s needs a restart", c)
		}
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

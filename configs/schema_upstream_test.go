package configs_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/configs"
)

// TestSchemaTakesUpstreams holds the schema to what the decoder takes, and
// refuses, of groups.
func TestSchemaTakesUpstreams(t *testing.T) {
	agree(t, "upstreams: [{name: a, %s}]\n"+single, map[string]bool{
		"address: 'mx1.example:25'":                                                               true,
		"address: '[2001:db8::1]:25'":                                                             true,
		"address: unix:/run/lmtp, protocol: lmtp":                                                 true,
		"address: 'srv:_smtp._tcp.example.org'":                                                   true,
		"address: mx:example.org":                                                                 true,
		"address: mx:example.org:2525":                                                            true,
		"address: mx:25":                                                                          true,
		"address: srv:example.org":                                                                false,
		"address: mx1.example":                                                                    false,
		"address: ":                                                                               false,
		"balance: order":                                                                          false,
		"servers: []":                                                                             false,
		"address: 'a:25', servers: []":                                                            true,
		"address: , servers: [{address: 'a:25'}]":                                                 true,
		"address: 'a:25', servers: [{address: 'b:25'}]":                                           false,
		"servers: [{address: 'a:25', weight: 1000}]":                                              true,
		"servers: [{address: 'a:25', weight: 0}]":                                                 false,
		"servers: ['a:25']":                                                                       false,
		"address: 'a:25', identity: transparent":                                                  true,
		"address: 'a:25', identity: xclients":                                                     false,
		"address: 'a:25', proxy_version: 1, identity: proxy":                                      true,
		"address: 'a:25', proxy_version: 3, identity: proxy":                                      false,
		"address: 'a:25', tls: ":                                                                  true,
		"address: 'a:25', tls: {mode: required}":                                                  true,
		"address: 'a:25', tls: {mode: required, key: k}":                                          false,
		"address: 'a:25', tls: {key: '', certificate: ''}":                                        true,
		"address: 'a:25', recipients: {remember: yes}":                                            false,
		"address: 'a:25', health: {interval: 0s}":                                                 true,
		"address: 'a:25', tls: {mode: required, key: k, certificate: c}":                          true,
		"address: 'a:25', tls: {mode: required, min_version: 1.2}":                                true,
		"address: 'a:25', tls: {mode: required, min_version: '1.2'}":                              true,
		"address: 'a:25', tls: {mode: required, min_version: 1.0}":                                true,
		"address: 'a:25', tls: {mode: required, min_version: 1.5}":                                false,
		"address: 'a:25', tls: {mode: required, min_version: '1x2'}":                              false,
		"address: 'a:25', tls: {mode: required, fingerprints: ['" + pinned + "']}":                true,
		"address: 'a:25', tls: {mode: required, fingerprints: ['" + pinned[1:] + "']}":            false,
		"address: 'a:25', tls: {mode: required, fingerprints: [" + strings.Repeat("1", 64) + "]}": true,
	})
	agree(t, "upstreams: [{name: %s, address: 'a:25'}]\n"+single, map[string]bool{
		"a-b_c.D9":     true,
		"listener a":   false,
		"'listener a'": false,
		"''":           false,
		"a/b":          false,
		"'12'":         true,
	})
}

// TestSchemaTakesListeners does it with what listeners have about them.
func TestSchemaTakesListeners(t *testing.T) {
	agree(t, "upstreams: [{name: in, address: 'a:25'}, {name: '12', address: 'a:25'}]\nlisteners: [{name: mx, address: ':25', %s}]\n", map[string]bool{
		"upstream: in":                true,
		"upstream: 12":                true,
		"upstream: ":                  false,
		"upstream: ''":                false,
		"upstream: 'a:25'":            false,
		"upstream: [in]":              false,
		"upstream: {address: 'a:25'}": true,
		"upstream: {name: in}":        false,
		"upstream: {servers: []}":     false,
		"upstream: in, routes: ":      true,
		"upstream: in, routes: [{domains: [.a.example, größe.example], upstream: in}]":                               true,
		"upstream: in, routes: [{domains: [a.example], upstream: {address: 'b:25', reuse: true}}]":                   true,
		"upstream: in, routes: [{domains: [], upstream: in}]":                                                        false,
		"upstream: in, routes: [{domains: [a.example], upstream: }]":                                                 false,
		"upstream: in, routes: [{domains: ['*.a.example'], upstream: in}]":                                           false,
		"upstream: in, routes: [{domains: [a.example]}]":                                                             false,
		"upstream: in, tls: {certificates: [{certificate: c, key: k}], min_version: 1.3}":                            true,
		"upstream: in, tls: {certificates: [{certificate: c, key: ''}]}":                                             false,
		"upstream: in, tls: {certificates: [{certificate: c}]}":                                                      false,
		"upstream: in, tls: {certificates: [{certificate: c, key: k}], client_certificates: require}":                false,
		"upstream: in, tls: {certificates: [{certificate: c, key: k}], client_certificates: require, client_ca: ca}": true,
		"upstream: in, tls: {certificates: [{certificate: c, key: k}], client_certificates: request}":                true,
		"upstream: in, proxy_protocol_from: [192.0.2.0/24, '::1'], xclient_from: []":                                 true,
		"upstream: in, proxy_protocol_from: [proxy.example]":                                                         false,
		"upstream: in, auth: {without_tls: true, max_failures: 0, window: 1h}":                                       true,
		"upstream: in, auth: {max_failures: -1}":                                                                     false,
		"upstream: in, timeouts: {tls_handshake: 5s, proxy_header: 1s, upstream: {tls_handshake: 5s}}":               true,
		"mode: milter": false,
	})
	agree(t, "listeners: [{name: mta, address: 'inet:127.0.0.1:8891', mode: milter, %s}]\n", map[string]bool{
		"tls: , routes: , xclient_from: ": true,
		"tls: {}":                         false,
		"routes: []":                      false,
		"auth: {max_failures: 1}":         false,
	})
}

// agree holds decoder and schema to be of one mind about texts in a frame.
func agree(t *testing.T, frame string, texts map[string]bool) {
	t.Helper()
	schema := compile(t, configs.Schema(allKinds()))
	for text, want := range texts {
		text = strings.Replace(frame, "%s", text, 1)
		if _, err := configs.Parse(allKinds(), "file", []byte(text)); (err == nil) != want {
			t.Errorf("the decoder on\n%s: %v", text, err)
		}
		v, err := value([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != want {
			t.Errorf("the schema on\n%s: %v", text, err)
		}
	}
}

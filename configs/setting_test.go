package configs_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/configs"
)

// TestSettingErrors holds what is found to be wrong with a setting to be shown
// where the setting stands.
func TestSettingErrors(t *testing.T) {
	c := parseText(t, grouped+`  - &b
    name: b
    address: ":26"
    upstream: {address: "a:25"}
    tls: &tls
      certificates:
        - {certificate: b.pem, key: b.key}
        - certificate: c.pem
          key: c.key
  - {<<: *b, name: c, upstream: lists}
`)
	gone := errors.New("no such file")
	for _, test := range []struct {
		setting configs.SettingError
		want    string
	}{
		{configs.SettingError{Upstream: "inbound", Key: "tls.key"}, `dir/mx.yaml:8:32: tls.key: no such file
        tls: {mode: required, key: us.key, certificate: us.pem, fingerprints: ["00:11:22:33:44:55:66:77:
                                   ^`},
		{configs.SettingError{Upstream: "listener mx route .xn--gre-6ka8i.example", Key: "address"}, `dir/mx.yaml:18:57: address: no such file
          - {domains: [.größe.example], upstream: {address: "mx:example.org", max_connections: 7}}
                                                            ^`},
		{configs.SettingError{Upstream: `listener "out put"`, Key: "tls.key"}, `dir/mx.yaml:22:50: tls.key: no such file
      - {name: "out put", address: ":587", upstream: {address: "127.0.0.1:10587", identity: proxy, proxy
                                                     ^`},
		{configs.SettingError{Listener: "c", Key: "tls.certificates[1].key"}, `dir/mx.yaml:31:16: tls.certificates[1].key: no such file
              key: c.key
                   ^`},
		{configs.SettingError{Listener: "c", Key: "tls.certificates[7].key"}, `dir/mx.yaml:29:9: tls.certificates[7].key: no such file
            - {certificate: b.pem, key: b.key}
            ^`},
		{configs.SettingError{Listener: "x", Key: "tls.client_ca"}, `listener x: tls.client_ca: no such file`},
		{configs.SettingError{Upstream: "x", Key: "tls.ca"}, `upstream x: tls.ca: no such file`},
	} {
		test.setting.Err = gone
		if diff := cmp.Diff(test.want, c.Explain(&test.setting).Error()); diff != "" {
			t.Error(diff)
		}
	}
	both := errors.Join(&configs.SettingError{Listener: "mx", Key: "tls.client_ca", Err: gone}, &configs.SettingError{Upstream: "lists", Key: "address", Err: gone})
	var problems configs.Problems
	if err := c.Explain(both); !errors.As(err, &problems) || len(problems) != 2 || problems[0].Line != 10 || problems[1].Line != 19 {
		t.Errorf("of two: %v", err)
	}
}

func TestPath(t *testing.T) {
	c := parseText(t, grouped)
	for name, want := range map[string]string{"": "", "mx.pem": "dir/mx.pem", "../mx.pem": "mx.pem", "/etc/mx.pem": "/etc/mx.pem"} {
		if got := c.Path(name); got != filepath.FromSlash(want) {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// TestWarnings goes through what looks like a mistake, and does no harm.
func TestWarnings(t *testing.T) {
	c := parseText(t, `upstreams:
  - {name: used, address: "a:25", tls: {mode: required, min_version: 1.0}}
  - {name: unused, address: "a:25"}
listeners:
  - name: mx
    address: ":25"
    upstream: used
    routes: [{domains: [a.example], upstream: {address: "a:25", tls: {mode: implicit, min_version: "1.1"}}}]
    tls: {certificates: [{certificate: a, key: b}], implicit: true, require: true, min_version: 1.1}
    proxy_protocol_from: [192.0.2.1, 0.0.0.0/0]
    xclient_from: ["::/0", "::ffff:0:0/96", 10.0.0.0/8]
`)
	want := []string{
		`dir/mx.yaml:2:70: TLS 1.0 is deprecated (RFC 8996): what speaks nothing newer is rare`,
		`dir/mx.yaml:3:12: no listener and no route uses the group unused`,
		`dir/mx.yaml:8:100: TLS 1.1 is deprecated (RFC 8996): what speaks nothing newer is rare`,
		`dir/mx.yaml:9:78: with implicit: true there is no session without TLS anyway`,
		`dir/mx.yaml:9:97: TLS 1.1 is deprecated (RFC 8996): what speaks nothing newer is rare`,
		`dir/mx.yaml:10:38: anybody in 0.0.0.0/0 may claim to be anybody`,
		`dir/mx.yaml:11:20: anybody in ::/0 may claim to be anybody`,
		`dir/mx.yaml:11:28: anybody in 0.0.0.0/0 may claim to be anybody`,
	}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Error(diff)
	}
}

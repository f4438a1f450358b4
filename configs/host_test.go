package configs_test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

func parse(t *testing.T, text string) *configs.Config {
	t.Helper()
	c, err := configs.Parse(allKinds(), "dir/mx.yaml", []byte(minimal+text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNameServers(t *testing.T) {
	c := parse(t, `dns: {servers: [192.0.2.53, "192.0.2.53:5353", "::1", "[::1]", "[2001:db8::53]:54", "fe80::1%eth0"], timeout: 1s, attempt_timeout: 1s}`)
	var got []string
	for _, s := range c.DNS.Servers {
		got = append(got, netip.AddrPort(s).String())
	}
	want := []string{"192.0.2.53:53", "192.0.2.53:5353", "[::1]:53", "[::1]:53", "[2001:db8::53]:54", "[fe80::1%eth0]:53"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if c.DNS.Timeout != time.Second || c.DNS.Tries != 2 || !c.DNS.RandomCase {
		t.Errorf("%+v", c.DNS)
	}
	shown := ""
	for _, o := range configs.Options(c.DNS) {
		if o.Name == "servers" {
			shown = o.Type + " " + o.Default
		}
	}
	if shown != `list of nameserver [192.0.2.53, "192.0.2.53:5353", "::1", "::1", "[2001:db8::53]:54", "fe80::1%eth0"]` {
		t.Error(shown)
	}
}

func TestStateFile(t *testing.T) {
	for file, want := range map[string]string{
		"": "", "state.db": "dir/state.db", "/var/lib/mailweir/state.db": "/var/lib/mailweir/state.db",
	} {
		if c := parse(t, `state: {file: "`+file+`"}`); c.StateFile() != filepath.FromSlash(want) {
			t.Errorf("%q: %q", file, c.StateFile())
		}
	}
}

// TestHostLayers checks that a container can be told where its state is.
func TestHostLayers(t *testing.T) {
	t.Setenv("MAILWEIR_STATE_FILE", "/state/mailweir.db")
	t.Setenv("MAILWEIR_ADMIN_ADDRESS", "nowhere")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	configs.Flags(flags)
	if err := flags.Parse([]string{"--admin-address=127.0.0.1:9090"}); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(allKinds(), configs.Source{File: "examples/mx.yaml", Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	if c.State.File != "/state/mailweir.db" || c.Admin.Address != "127.0.0.1:9090" {
		t.Errorf("%+v, %+v", c.State, c.Admin)
	}
	_, err = configs.Load(allKinds(), configs.Source{File: "examples/mx.yaml"})
	if err == nil || err.Error() != `environment MAILWEIR_ADMIN_ADDRESS: want host:port, got "nowhere"` {
		t.Error(err)
	}
}

// TestEntryDefaults checks what entries do that do not say.
func TestEntryDefaults(t *testing.T) {
	c := parse(t, `chain:
  - observed:
  - observed: {}
    name: spelt
    action: enforce
    on_error: tempfail
  - observed:
    name: "null"
    action:
    on_error: ~
  - name: drops
    action: drop
    observed:
  - probe:
`)
	for i, want := range []struct {
		action  chain.Action
		onError chain.OnError
	}{
		{chain.Ignore, chain.ErrorContinue},
		{chain.Enforce, chain.ErrorTempFail},
		{chain.Ignore, chain.ErrorContinue},
		{chain.Drop, chain.ErrorContinue},
		{chain.Enforce, chain.ErrorTempFail},
	} {
		if e := c.Chain[i]; e.Action != want.action || e.OnError != want.onError {
			t.Errorf("%s: %v, %v; want %v, %v", e.Name, e.Action, e.OnError, want.action, want.onError)
		}
	}
}

// TestTextOrMap checks that a list may mix both forms.
func TestTextOrMap(t *testing.T) {
	c := parse(t, `chain:
  - probe:
      lists: [&a short, 12, {name: full, weight: 3}, {name: lean}, *a]
      best: {name: it}
      switch: false
`)
	conf := c.Chain[0].Conf.(*probe)
	want := []list{
		{Name: "short", Weight: 5, Text: true}, {Name: "12", Weight: 5, Text: true},
		{Name: "full", Weight: 3}, {Name: "lean", Weight: 1}, {Name: "short", Weight: 5, Text: true},
	}
	if !slices.Equal(conf.Lists, want) || conf.Best != (list{Name: "it"}) || conf.Switch != filters.Off {
		t.Errorf("%+v", conf)
	}
	for _, o := range configs.Options(conf) {
		keys := ""
		for _, k := range o.Keys {
			keys += " " + k.Name + "=" + k.Default
		}
		shown := o.Type + "; " + o.Default + ";" + keys
		switch o.Name {
		case "switch":
			if shown != "true | false | ignore; false;" {
				t.Error(shown)
			}
		case "lists":
			if o.Type+keys != `list of list or map name="" weight=1 key=""` {
				t.Error(shown)
			}
		case "best":
			if shown != `list or map; {name: it, weight: 0, key: ""}; name=it weight=0 key=""` {
				t.Error(shown)
			}
		}
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unit is a unit file of systemd: values by section and key, in their order.
type unit map[string]map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	u, section := unit{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		key, value, isOption := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
			u[section] = map[string][]string{}
		case !isOption || section == "" || strings.ContainsAny(key, " \t"):
			t.Errorf("%s: %q is no option", name, line)
		default:
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

func (u unit) holds(t *testing.T, section, key, want string) {
	t.Helper()
	if got := strings.Join(u[section][key], " "); got != want {
		t.Errorf("[%s] %s=%s, want %q", section, key, got, want)
	}
}

// TestUnits holds the unit files to what the program does.
func TestUnits(t *testing.T) {
	service, socket := readUnit(t, "mailweir.service"), readUnit(t, "mailweir.socket")
	service.holds(t, "Service", "Type", "notify")
	service.holds(t, "Service", "User", "mailweir")
	service.holds(t, "Service", "NoNewPrivileges", "yes")
	service.holds(t, "Service", "CapabilityBoundingSet", "")
	service.holds(t, "Service", "LimitCORE", "0")
	service.holds(t, "Install", "Also", "mailweir.socket")
	socket.holds(t, "Socket", "FileDescriptorName", "mx")
	socket.holds(t, "Socket", "Accept", "") // no is the default
	args := strings.Fields(service["Service"]["ExecStart"][0])
	cmd, rest, err := newRoot().Find(args[1:])
	if err != nil || cmd.Name() != "serve" || cmd.ParseFlags(rest) != nil {
		t.Errorf("ExecStart has %q: %v", args, err)
	}
	if file := cmd.Flags().Lookup("config").Value.String(); file != defaultFile {
		t.Errorf("ExecStart has the configuration %s, not %s", file, defaultFile)
	}
}

// TestUnitsAnalysed has systemd itself judge the unit files. The threshold is in
// tenths of the exposure level that docs/service.md tells.
func TestUnitsAnalysed(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("systemd-analyze is not installed (Debian package systemd)")
		}
		t.Skip("systemd-analyze is not installed (Debian package systemd)")
	}
	dir := t.TempDir()
	for _, name := range []string{"mailweir.service", "mailweir.socket"} {
		data, err := os.ReadFile(filepath.Join("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(data), "/usr/local/bin/mailweir", os.Args[0], 1) // it looks whether that is there
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	service := filepath.Join(dir, "mailweir.service")
	if out, err := exec.Command(analyze, "verify", service, filepath.Join(dir, "mailweir.socket")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=15", service).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

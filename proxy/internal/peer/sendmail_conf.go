package peer

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// sendmailMC is a Sendmail that knows no DNS and no users, refuses nobody on
// loopback, and sends all mail to one host.
var sendmailMC = template.Must(template.New("sendmail.mc").Delims("{", "}").Parse("divert(0)dnl\n" +
	"VERSIONID(`test')\n" +
	"OSTYPE(`linux')\n" +
	"define(`confDOMAIN_NAME', `sm.test.example')dnl\n" +
	"define(`confPID_FILE', `{.Dir}/sendmail.pid')dnl\n" +
	"define(`STATUS_FILE', `{.Dir}/statistics')dnl\n" +
	"define(`HELP_FILE', `{.Dir}/helpfile')dnl\n" +
	"define(`QUEUE_DIR', `{.Dir}/mqueue')dnl\n" +
	"define(`ALIAS_FILE', `')dnl\n" +
	"define(`confCW_FILE', `{.Dir}/local-host-names')dnl\n" +
	"define(`confCT_FILE', `-o {.Dir}/trusted-users')dnl\n" +
	"define(`confSERVICE_SWITCH_FILE', `{.Dir}/service.switch')dnl\n" +
	"define(`confDEAD_LETTER_DROP', `{.Dir}/dead.letter')dnl\n" +
	"define(`confDONT_PROBE_INTERFACES', `true')dnl\n" +
	"define(`confDEF_USER_ID', `nobody:nogroup')dnl\n" +
	"define(`confBIND_OPTS', `-DNSRCH -DEFNAMES')dnl\n" +
	"define(`confTO_IDENT', `0')dnl\n" +
	"define(`confTO_ICONNECT', `2s')dnl\n" +
	"define(`confLOG_LEVEL', `14')dnl\n" +
	"define(`confMILTER_LOG_LEVEL', `14')dnl\n" +
	"define(`confREFUSE_LA', `999')dnl\n" +
	"define(`confQUEUE_LA', `999')dnl\n" +
	"define(`confDELAY_LA', `0')dnl\n" +
	"define(`confBAD_RCPT_THROTTLE', `0')dnl\n" +
	"define(`confPRIVACY_FLAGS', `')dnl\n" +
	"define(`SMART_HOST', `esmtp:[{.RelayHost}]')dnl\n" +
	"define(`ESMTP_MAILER_ARGS', `TCP $h {.RelayPort}')dnl\n" +
	"define(`LOCAL_MAILER_PATH', `/bin/false')dnl\n" +
	"{with .TLS}" +
	"define(`confSERVER_CERT', `{.CertFile}')dnl\n" +
	"define(`confSERVER_KEY', `{.KeyFile}')dnl\n" +
	"define(`confCACERT', `{or .CAFile .CertFile}')dnl\n" +
	"define(`confCACERT_PATH', `{.Dir}')dnl\n" +
	"{end}" +
	"FEATURE(`no_default_msa')dnl\n" +
	"FEATURE(`nocanonify')dnl\n" +
	"FEATURE(`accept_unresolvable_domains')dnl\n" +
	"FEATURE(`accept_unqualified_senders')dnl\n" +
	"FEATURE(`promiscuous_relay')dnl\n" +
	"DAEMON_OPTIONS(`Family=inet, Name=MTA, Addr={.Host}, Port={.Port}, Listen=200')dnl\n" +
	"{with .Milter}INPUT_MAIL_FILTER(`mailweir', `{.}')dnl\n{end}" +
	"{.Config}" +
	"MAILER(`local')dnl\n" +
	"MAILER(`smtp')dnl\n"))

// configure writes sendmail.cf and what else it wants in its directory.
func (s *SendmailInstance) configure(t testing.TB, tree string, o SendmailOptions) {
	t.Helper()
	makeDir(t, s.path("mqueue"), 0, 0, 0o700)
	var mc bytes.Buffer
	host, port := splitAddr(t, s.Addr)
	relayHost, relayPort := splitAddr(t, o.Relayhost)
	err := sendmailMC.Execute(&mc, map[string]any{
		"Dir": s.dir, "Host": host, "Port": port, "RelayHost": relayHost, "RelayPort": relayPort,
		"Milter": inputMailFilter(t, o), "TLS": o.TLS, "Config": o.Config,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"sendmail.mc":      mc.String(),
		"helpfile":         "",
		"statistics":       "",
		"local-host-names": "",
		"service.switch":   "hosts files\naliases files\npasswd files\n",
	} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cf := filepath.Join(tree, "usr/share/sendmail/cf") + "/"
	m4 := exec.Command(find("m4"), "-D_CF_DIR_="+cf, cf+"m4/cf.m4", s.path("sendmail.mc"))
	var complaints bytes.Buffer
	m4.Stderr = &complaints
	text, err := m4.Output()
	if err != nil {
		t.Fatalf("m4: %v\n%s", err, &complaints)
	}
	if err := os.WriteFile(s.path("sendmail.cf"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// inputMailFilter spells the milter as Sendmail wants it.
func inputMailFilter(t testing.TB, o SendmailOptions) string {
	t.Helper()
	kind, where, _ := strings.Cut(o.Milter, ":")
	var socket string
	switch kind {
	case "":
		return ""
	case "unix":
		socket = "local:" + where
	case "inet":
		host, port := splitAddr(t, where)
		socket = "inet:" + port + "@" + host
	default:
		t.Fatalf("%q is no address of a milter", o.Milter)
	}
	equates := []string{"S=" + socket}
	if o.Flag != "" {
		equates = append(equates, "F="+o.Flag)
	}
	if o.Timeouts != "" {
		equates = append(equates, "T="+o.Timeouts)
	}
	return strings.Join(equates, ", ")
}

func splitAddr(t testing.TB, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

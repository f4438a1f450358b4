package proxy_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// What nobody may ever read.
const (
	password = "Tr0ub4dor-and-3"
	listKey  = "abcdefghijklmnopqrstuv1234"
)

// secrets are all that must not be shown, in the forms in which they pass.
func secrets() []string {
	return []string{
		password, listKey,
		base64.StdEncoding.EncodeToString([]byte(password)),
		base64.StdEncoding.EncodeToString([]byte("\x00bob\x00" + password)),
		"PRIVATE KEY", "MHcCAQEE", // how keys begin
	}
}

func holdSecret(t *testing.T, where, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("there is nothing in %s", where)
	}
	for _, s := range secrets() {
		if i := strings.Index(strings.ToLower(text), strings.ToLower(s)); i >= 0 {
			t.Errorf("%s has the secret %s: ...%.300s", where, s, text[max(0, i-150):])
		}
	}
}

// loginMTA takes log-ins with the password, and mail. It returns its address.
func loginMTA(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { login(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); sessions.Wait() })
	return l.Addr().String()
}

func login(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	fmt.Fprint(conn, "220 mta ESMTP\r\n")
	reply := func() string {
		line := in.Text()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case verb == "EHLO":
			return "250-mta\r\n250 AUTH PLAIN LOGIN"
		case strings.HasPrefix(line, "AUTH LOGIN"):
			for range 2 {
				fmt.Fprint(conn, "334 VXNlcm5hbWU6\r\n")
				in.Scan()
			}
			if got, _ := base64.StdEncoding.DecodeString(in.Text()); string(got) == password {
				return "235 welcome"
			}
			return "535 no"
		case strings.HasPrefix(line, "AUTH PLAIN"):
			if got, _ := base64.StdEncoding.DecodeString(line[len("AUTH PLAIN "):]); strings.HasSuffix(string(got), "\x00"+password) {
				return "235 welcome"
			}
			return "535 no"
		case verb == "DATA":
			fmt.Fprint(conn, "354 go\r\n")
			for in.Scan() && in.Text() != "." {
			}
		}
		return "250 ok"
	}
	for in.Scan() {
		fmt.Fprintf(conn, "%s\r\n", reply())
	}
}

func secretConfig(upstream, more string) string {
	return fmt.Sprintf(`hostname: weir.example
log: {level: debug}
dns: {servers: ["127.0.0.1:1"], attempt_timeout: 50ms, timeout: 50ms, tries: 1}
admin: {address: "127.0.0.1:0"}
listeners:
  - {name: mx, address: "127.0.0.1:0", upstream: {address: %q}, auth: {without_tls: true}, %s}
chain:
  - dnsbl: {zones: [{zone: bl.example, key: %s, weight: 4}], exempt: []}
  - verbs: {}
`, upstream, more, listKey)
}

// logIn logs in in all ways, well and badly, and sends mail. Whatever the
// filters do to that, the client hears something.
func logIn(t *testing.T, at string) {
	t.Helper()
	plain := base64.StdEncoding.EncodeToString([]byte("\x00bob\x00" + password))
	name, word := base64.StdEncoding.EncodeToString([]byte("bob")), base64.StdEncoding.EncodeToString([]byte(password))
	for _, lines := range [][]string{
		{"AUTH PLAIN " + plain},
		{"AUTH PLAIN " + plain[:len(plain)-4]},
		{"AUTH LOGIN", name, word},
		{"AUTH LOGIN", name, word + "===="},
		{"AUTH NONSENSE " + plain},
		{"AUTH PLAIN " + plain + " " + plain},
		{plain, "VRFY " + plain},
	} {
		client := peer.Dial(t, at)
		client.Hello()
		for _, line := range append(lines, "MAIL FROM:<a@test.example>", "RCPT TO:<b@test.example>", "DATA", ".", "QUIT") {
			client.Write(line + "\r\n")
			if reply, err := client.Reply(); err != nil && !strings.HasPrefix(reply, "4") {
				break // a panic ends the session
			}
		}
		client.Close()
	}
}

// panicking is a filter that shows all it has, and fails.
type panicking struct{ at filters.Stage }

func (p panicking) fail(at filters.Stage, what ...any) filters.Verdict {
	if at != p.at {
		return filters.Verdict{}
	}
	text := "all that it has:"
	for _, w := range what {
		text += fmt.Sprintf(" %+v", w)
	}
	panic(text)
}

func (p panicking) Helo(_ context.Context, s *filters.Session) filters.Verdict {
	return p.fail(filters.Helo, s)
}

func (p panicking) Mail(_ context.Context, t *filters.Transaction) filters.Verdict {
	return p.fail(filters.Mail, t, t.Session)
}

func (p panicking) Command(_ context.Context, s *filters.Session, _, _ string) filters.Verdict {
	return p.fail(filters.Command, s)
}

func (p panicking) Message(_ context.Context, t *filters.Transaction) filters.Verdict {
	return p.fail(filters.EOM, t, t.Session)
}

func metricsOf(t *testing.T, at string) string {
	t.Helper()
	reply, err := http.Get("http://" + at + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSecretsPanics logs in while filters panic, and reloads what is wrong: no
// secret is in log or metrics.
func TestSecretsPanics(t *testing.T) {
	mta := loginMTA(t)
	for _, at := range []filters.Stage{filters.Helo, filters.Mail, filters.Command, filters.EOM} {
		t.Run(at.String(), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mailweir.yaml")
			if err := os.WriteFile(file, []byte(secretConfig(mta, "")+"  - panics: {}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := serveFileAt(t, file,
				filters.Define(filters.Kind{Name: "panics", Doc: "Panics."}, struct{}{},
					func(filters.Env, *struct{}) (filters.Filter, error) { return panicking{at}, nil }))
			logIn(t, r.Addr("mx").String())
			r.write(strings.Replace(secretConfig(mta, ""), "weight: 4", "wieght: 4", 1))
			if r.Reload(r.load) == nil {
				t.Error("a configuration that is wrong was loaded")
			}
			r.reload(strings.Replace(secretConfig(mta, ""), listKey, listKey+"x", 1))
			holdSecret(t, "the log", r.log.String())
			holdSecret(t, "/metrics", metricsOf(t, r.AdminAddr().String()))
			if !strings.Contains(r.log.String(), "panic") {
				t.Error("nothing has panicked")
			}
		})
	}
}

// TestSecretsCrash has a program write down what it was doing, in the middle of
// a log-in.
func TestSecretsCrash(t *testing.T) {
	at := peer.FreeAddr(t)
	p := newParent(t, "")
	dir := filepath.Dir(p.file)
	certificate := peer.SelfSigned(t)
	p.configure(strings.Replace(secretConfig(loginMTA(t), fmt.Sprintf("tls: {certificates: [{certificate: %s, key: %s}]}", certificate.CertFile, certificate.KeyFile)),
		`name: mx, address: "127.0.0.1:0"`, fmt.Sprintf("name: mx, address: %q", at), 1))
	p.environ = []string{"GOTRACEBACK=all"}
	c := p.start().ready()
	logIn(t, at)
	client := peer.Dial(t, at)
	client.Hello()
	client.StartTLS()
	client.Hello()
	client.Do("334", "AUTH LOGIN")
	client.Do("334", base64.StdEncoding.EncodeToString([]byte("bob")))
	client.Write(base64.StdEncoding.EncodeToString([]byte(password))) // and no CRLF
	c.signal(syscall.SIGQUIT)
	c.end()
	if !strings.Contains(c.log.String(), "SIGQUIT: quit") || strings.Count(c.log.String(), "\ngoroutine ") < 5 {
		t.Errorf("it has not written down what it did: %s", c.log)
	}
	holdSecret(t, "log and crash", c.log.String())
	if cores, _ := filepath.Glob(filepath.Join(dir, "core*")); cores != nil {
		t.Errorf("there is a core file: %q", cores)
	}
	if _, err := os.Stat("core"); err == nil {
		t.Error("there is a core file")
	}
}

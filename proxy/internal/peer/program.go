package peer

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// SmtpSource runs Postfix's message generator against addr and fails the test
// if it does: it stops at the first reply that it does not expect.
func SmtpSource(t testing.TB, addr string, args ...string) {
	t.Helper()
	Need(t, "smtp-source", "postfix")
	// A short back-log is no failure of what is tested.
	args = append([]string{"-C", "10", "-M", "client.test.example"}, args...)
	if out, exit := (run{}).program(t, 3*time.Minute, "smtp-source", append(args, addr)...); exit != 0 {
		t.Fatalf("smtp-source ended with status %d: %s", exit, out)
	}
}

// Swaks runs swaks against addr and returns the dialogue and its exit status:
// 0 for a message accepted, otherwise the number of what was refused.
func Swaks(t testing.TB, addr string, args ...string) (output string, exit int) {
	t.Helper()
	return (*Netns)(nil).Swaks(t, addr, args...)
}

// Swaks is Swaks in the namespace.
func (n *Netns) Swaks(t testing.TB, addr string, args ...string) (output string, exit int) {
	t.Helper()
	Need(t, "swaks", "swaks")
	if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--tls") }) {
		needPerl(t, "Net::SSLeay", "libnet-ssleay-perl")
	}
	if strings.HasPrefix(addr, "[") {
		needPerl(t, "IO::Socket::INET6", "libio-socket-inet6-perl")
	}
	args = append([]string{"--server", addr, "--timeout", "20", "--helo", "client.test.example"}, args...)
	return run{where: n}.program(t, time.Minute, "swaks", args...)
}

// needPerl is Need for a module of Perl's.
func needPerl(t testing.TB, module, debianPackage string) {
	t.Helper()
	if err := exec.Command("perl", "-M"+module, "-e1").Run(); err != nil {
		absent(t, "Perl has no %s (Debian package %s)", module, debianPackage)
	}
}

// OpenSSL runs s_client against addr, sends it the lines of script once TLS is
// there, and returns all that it prints, its report on the TLS included. The
// arguments are more of s_client's, such as -starttls smtp. The script should
// end with QUIT: s_client ends when the server does.
func OpenSSL(t testing.TB, addr, script string, args ...string) (output string, exit int) {
	t.Helper()
	Need(t, "openssl", "openssl")
	// -ign_eof takes no letter of the script for an order of its own.
	args = append([]string{"s_client", "-connect", addr, "-crlf", "-ign_eof"}, args...)
	return run{stdin: script}.program(t, time.Minute, "openssl", args...)
}

// A run is how a program runs to its end.
type run struct {
	where *Netns
	stdin string
}

// program returns what the program printed and its status.
func (r run) program(t testing.TB, timeout time.Duration, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	place := r.where.command(find(name), args...)
	cmd := exec.CommandContext(ctx, place.Path, place.Args[1:]...)
	cmd.Stdin = strings.NewReader(r.stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		return out.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out.Bytes())
	}
	return out.String(), 0
}

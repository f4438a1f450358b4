// Package peer starts the real programs that mailweir is tested against: a
// private Postfix, its message generator, a private Sendmail, Dovecot, haproxy,
// swaks, openssl, name servers, and mailweir itself as a user runs it. It is also
// what these talk to: a server that records every octet of all mail, and a name
// server that answers whatever a test wants it to.
//
// All of them live on loopback, on ports picked at run time, or in network
// namespaces of their own; in temporary directories; and end with the test.
package peer

import (
	"os"
	"os/exec"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// Need skips the test if program is not installed. With CI=true in the
// environment it fails: there every peer must be present.
func Need(t testing.TB, program, debianPackage string) {
	t.Helper()
	if find(program) == "" {
		absent(t, "%s is not installed (Debian package %s)", program, debianPackage)
	}
}

// needRoot skips the test if it does not run as root, or fails it as Need does.
func needRoot(t testing.TB, program string) {
	t.Helper()
	if os.Getuid() != 0 {
		absent(t, "%s runs as root only", program)
	}
}

func absent(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true needs every peer: "+format, args...)
	}
	t.Skipf(format, args...)
}

// find returns the path of a program, also if it is one of those that Debian
// installs where only root's PATH looks; "" for none.
func find(program string) string {
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// FreeAddr returns a loopback address with a free port.
func FreeAddr(t testing.TB) string {
	t.Helper()
	addr, err := proc.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// DovecotOptions are what a test may want of its Dovecot.
type DovecotOptions struct {
	Users  map[string]string // passwords by name: who may log in, and has a mailbox
	Full   []string          // those of the users whose mailboxes are full: 552 behind the text
	Broken []string          // those whose mailboxes cannot be opened: 451 behind the text
	TLS    *Certificate      // offers STARTTLS with it
}

// A DovecotInstance is a private Dovecot, in a directory of its own. It takes mail
// over LMTP, from clients that may say XCLIENT, and tells a Postfix who may log in.
type DovecotInstance struct {
	Addr       string // where it takes mail over LMTP
	Behind     string // the same, from proxies, which must send a PROXY header first
	Socket     string // the same, as a Unix socket
	AuthSocket string // where Postfix asks

	dir string
	run *proc.Process
}

// Mechanisms are those of AUTH that a Postfix with a Dovecot offers, in the order
// of their names.
var Mechanisms = []string{"CRAM-MD5", "DIGEST-MD5", "LOGIN", "PLAIN", "SCRAM-SHA-256"}

// Dovecot starts a Dovecot. It ends with the test, and when that has failed, shows
// the end of its log.
//
// Unless Dovecot is installed, the program is one that has been unpacked for these
// tests, as its package would start it.
func Dovecot(t testing.TB, o DovecotOptions) *DovecotInstance {
	t.Helper()
	needRoot(t, "Dovecot")
	tree := dovecotTree(t)
	var err error
	for range 3 { // another process may have taken the free port
		d := &DovecotInstance{Addr: FreeAddr(t), Behind: FreeAddr(t), dir: rootDir(t, "mailweir-dovecot-")}
		d.Socket, d.AuthSocket = d.path("lmtp"), d.path("auth")
		d.configure(t, o)
		if d.run, err = proc.Start(d.command(tree), os.Stderr); err != nil {
			t.Fatal(err)
		}
		if err = d.run.Listening(d.Addr, 20*time.Second); err == nil {
			t.Cleanup(func() { d.stop(t) })
			return d
		}
		d.run.Stop(time.Second)
		t.Logf("Dovecot: %s", d.Log())
	}
	t.Fatal(err)
	return nil
}

// layered lays the unpacked tree over /usr, for Dovecot alone: it looks for its
// parts there. Its arguments are the tree and the configuration.
const layered = `set -e
mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr
exec dovecot -F -c "$2"
`

func (d *DovecotInstance) command(tree string) *exec.Cmd {
	if tree == "" {
		return exec.Command(find("dovecot"), "-F", "-c", d.path("dovecot.conf"))
	}
	return exec.Command("unshare", "--mount", "--propagation", "private",
		"sh", "-c", layered, "sh", tree, d.path("dovecot.conf"))
}

// Log returns all that Dovecot has logged.
func (d *DovecotInstance) Log() string {
	data, _ := os.ReadFile(d.path("log"))
	return string(data)
}

// Mailbox returns the messages in the user's mailbox, in no certain order. Each
// begins with the fields that Dovecot has put on its top.
func (d *DovecotInstance) Mailbox(t testing.TB, user string) []string {
	t.Helper()
	files, err := filepath.Glob(d.path("mail", user, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, string(data))
	}
	return messages
}

func (d *DovecotInstance) stop(t testing.TB) {
	if err := d.run.Stop(10 * time.Second); err != nil && !t.Failed() {
		t.Errorf("Dovecot: %v", err)
	}
	if t.Failed() {
		t.Logf("the end of Dovecot's log:\n%s", tail(d.Log()))
	}
}

func (d *DovecotInstance) path(elements ...string) string {
	return filepath.Join(append([]string{d.dir}, elements...)...)
}

// dovecotTree returns the directory that Dovecot has been unpacked into, "" if it
// is installed.
func dovecotTree(t testing.TB) string {
	t.Helper()
	if find("dovecot") != "" && find("/usr/lib/dovecot/lmtp") != "" {
		return ""
	}
	tree := unpackedTree(t, "dovecot")
	if _, err := os.Stat(filepath.Join(tree, "usr/lib/dovecot/lmtp")); err != nil {
		absent(t, "Dovecot is neither installed nor unpacked: make test does that, as root on Debian")
	}
	layer := exec.Command("unshare", "--mount", "--propagation", "private",
		"mount", "-t", "overlay", "-o", "lowerdir="+filepath.Join(tree, "usr")+":/usr", "overlay", "/usr")
	if out, err := layer.CombinedOutput(); err != nil {
		absent(t, "Dovecot wants a mount of its own: %v: %s", err, out)
	}
	return tree
}

// unpackedTree returns where the files of a package would be that has been
// unpacked for these tests.
func unpackedTree(t testing.TB, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		absent(t, "%s is not there: %v", name, err)
	}
	return filepath.Join(cache, "mailweir", "peers", name)
}

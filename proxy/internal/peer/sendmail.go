package peer

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// SendmailOptions are what a test may want of its Sendmail.
type SendmailOptions struct {
	Relayhost string       // where all mail goes, as host:port
	Milter    string       // the milter to ask: "inet:host:port" or "unix:/path"; "" for none
	Timeouts  string       // how long it waits for the milter, such as "C:30s;S:10s;R:30s;E:5m"
	Flag      string       // what becomes of mail without its milter: "T" 451, "R" 550, "4" 421, "" it passes
	TLS       *Certificate // offers STARTTLS with it
	Config    string       // more of the configuration, in m4
}

// A SendmailInstance is a private Sendmail, in a directory of its own.
type SendmailInstance struct {
	Addr string // where it takes mail

	dir string
	log *syslog
	run *proc.Process
}

// Sendmail starts a Sendmail that takes mail from loopback and passes it on
// with a Received field on the top, and the fields that the message ought to
// have and lacks. It ends with the test, and when that has failed, shows the
// end of its log.
//
// The program is one that has been unpacked for these tests, as its package
// cannot be installed beside Postfix.
func Sendmail(t testing.TB, o SendmailOptions) *SendmailInstance {
	t.Helper()
	tree := sendmailTree(t)
	Need(t, "m4", "m4")
	needRoot(t, "Sendmail")
	needNamespaces(t)
	var err error
	for range 3 { // another process may have taken the free port
		dir := rootDir(t, "mailweir-sendmail-")
		s := &SendmailInstance{Addr: FreeAddr(t), dir: dir, log: newSyslog(t, filepath.Join(dir, "devlog"))}
		s.configure(t, tree, o)
		if s.run, err = proc.Start(s.command(tree), os.Stderr); err != nil {
			t.Fatal(err)
		}
		if err = s.run.Listening(s.Addr, 20*time.Second); err == nil {
			t.Cleanup(func() { s.stop(t) })
			return s
		}
		s.run.Stop(time.Second)
		t.Logf("Sendmail: %s", s.Log())
	}
	t.Fatal(err)
	return nil
}

// isolated gives Sendmail a host name with dots, without which it sleeps for a
// minute, and a /dev/log of its own. Its arguments are the directory, the
// program and the program's arguments.
const isolated = `set -e
dir=$1
shift
hostname sm.test.example
mkdir "$dir/dev"
mount --rbind /dev "$dir/dev"
mount -t tmpfs -o mode=755 tmpfs /dev
for name in null zero full random urandom tty; do
	: >/dev/$name
	mount --bind "$dir/dev/$name" "/dev/$name"
done
ln -s "$dir/devlog" /dev/log
exec "$@"
`

// command runs in namespaces of its own, so that nothing of isolated is seen
// elsewhere, and nothing remains of it.
func (s *SendmailInstance) command(tree string) *exec.Cmd {
	return exec.Command("unshare", "--uts", "--mount", "--propagation", "private", "sh", "-c", isolated, "sh", s.dir,
		filepath.Join(tree, "usr/libexec/sendmail/sendmail"), "-C"+s.path("sendmail.cf"), "-bD")
}

// Address returns where Sendmail takes mail.
func (s *SendmailInstance) Address() string { return s.Addr }

// Log returns all that Sendmail has logged.
func (s *SendmailInstance) Log() string { return s.log.String() }

// Settle waits until Sendmail has passed on all that it has accepted and not
// set aside.
func (s *SendmailInstance) Settle(t testing.TB, timeout time.Duration) {
	t.Helper()
	settle(t, "Sendmail", timeout, func() []string { return s.queued(t, "qf*", "df*", "tf*", "xf*") })
}

// Quarantined returns how many messages Sendmail has set aside.
func (s *SendmailInstance) Quarantined(t testing.TB) int {
	t.Helper()
	return len(s.queued(t, "hf*"))
}

// queued returns the files of the queue with such names, but for those of
// messages that are set aside.
func (s *SendmailInstance) queued(t testing.TB, patterns ...string) []string {
	t.Helper()
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(s.path("mqueue", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			id := filepath.Base(file)[2:]
			if _, err := os.Stat(s.path("mqueue", "hf"+id)); err != nil || pattern == "hf*" {
				files = append(files, file)
			}
		}
	}
	return files
}

func (s *SendmailInstance) stop(t testing.TB) {
	if err := s.run.Stop(10 * time.Second); err != nil && !t.Failed() {
		t.Errorf("Sendmail: %v", err)
	}
	if t.Failed() {
		t.Logf("the end of Sendmail's log:\n%s", tail(s.Log()))
	}
}

func (s *SendmailInstance) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// sendmailTree returns the directory that Sendmail has been unpacked into.
func sendmailTree(t testing.TB) string {
	t.Helper()
	tree := unpackedTree(t, "sendmail")
	if _, err := os.Stat(filepath.Join(tree, "usr/libexec/sendmail/sendmail")); err != nil {
		absent(t, "Sendmail has not been unpacked: make test does that, as root on Debian")
	}
	return tree
}

func needNamespaces(t testing.TB) {
	t.Helper()
	if out, err := exec.Command("unshare", "--uts", "--mount", "true").CombinedOutput(); err != nil {
		absent(t, "Sendmail wants namespaces of its own: %v: %s", err, bytes.TrimSpace(out))
	}
}

// rootDir makes a directory below none that all may write to: Sendmail trusts
// no socket and no key there.
func rootDir(t testing.TB, prefix string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

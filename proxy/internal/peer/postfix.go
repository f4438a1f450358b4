package peer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// postfixMaster is the program that runs all others of Postfix.
const postfixMaster = "/usr/lib/postfix/sbin/master"

// PostfixOptions are what a test may want of its Postfix.
type PostfixOptions struct {
	Relayhost string              // where all mail goes, as host:port; "" discards it
	Milter    string              // the milter to ask: "inet:host:port" or "unix:/path"; "" for none
	Default   string              // what becomes of mail without its milter, such as tempfail or accept
	TLS       *Certificate        // offers STARTTLS with it
	Logins    *DovecotInstance    // offers AUTH, and asks that who may log in
	Screen    bool                // clients come to postscreen first
	Netns     *Netns              // where it runs, on all addresses, and takes mail from everybody
	Main      map[string]string   // more of main.cf; it wins over what is there
	Services  []map[string]string // more places to take mail, each with settings that win over main.cf
}

// A PostfixInstance is a private Postfix, in a directory of its own.
type PostfixInstance struct {
	Addr     string   // where it takes mail
	Addr6    string   // the same in IPv6; "" outside of a namespace
	Services []string // where it takes mail too, as the options say

	dir   string
	where *Netns
	run   *proc.Process
}

// Postfix starts a Postfix that takes mail from loopback and passes it on
// unaltered but for a Received field on the top. It ends with the test, and
// when that has failed, shows the end of its log.
func Postfix(t testing.TB, o PostfixOptions) *PostfixInstance {
	t.Helper()
	Need(t, postfixMaster, "postfix")
	needRoot(t, "Postfix")
	var err error
	for range 3 { // another process may have taken the free port
		p := &PostfixInstance{Addr: o.Netns.FreeAddr(t), dir: postfixDir(t), where: o.Netns}
		p.Addr6 = o.Netns.addr6(p.Addr)
		for range o.Services {
			p.Services = append(p.Services, o.Netns.FreeAddr(t))
		}
		p.configure(t, o)
		if err = p.start(t); err == nil {
			t.Cleanup(func() { p.stop(t) })
			return p
		}
	}
	t.Fatal(err)
	return nil
}

// start runs Postfix and waits until it takes mail. What does not is ended.
func (p *PostfixInstance) start(t testing.TB) (err error) {
	t.Helper()
	if p.run, err = proc.Start(p.where.command(postfixMaster, "-c", p.path("conf"), "-d"), os.Stderr); err != nil {
		t.Fatal(err)
	}
	if err = p.run.ListeningTo(p.where.dial, p.Addr, 20*time.Second); err != nil {
		p.run.Stop(time.Second)
		t.Logf("Postfix: %s", p.Log())
	}
	return err
}

// Kill ends Postfix without asking, and waits until none of its parts is left
// that would take mail.
func (p *PostfixInstance) Kill(t testing.TB) {
	t.Helper()
	p.run.Kill()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := p.where.dial("tcp", p.Addr, time.Second)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("somebody still listens at %s", p.Addr)
		}
	}
}

// Start runs Postfix again, which has been killed: with the same address and
// the queue as it was.
func (p *PostfixInstance) Start(t testing.TB) {
	t.Helper()
	var err error
	for range 3 { // another process may have taken the port for a moment
		if err = p.start(t); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// Log returns all that Postfix has logged.
func (p *PostfixInstance) Log() string {
	data, _ := os.ReadFile(p.path("mail.log"))
	return string(data)
}

// Address returns where Postfix takes mail.
func (p *PostfixInstance) Address() string { return p.Addr }

// Settle waits until Postfix has passed on all that it has accepted and not
// set aside.
func (p *PostfixInstance) Settle(t testing.TB, timeout time.Duration) {
	t.Helper()
	settle(t, "Postfix", timeout, func() []string { return p.queued(t) })
}

// Quarantined returns how many messages are in the hold queue.
func (p *PostfixInstance) Quarantined(t testing.TB) int {
	t.Helper()
	list := exec.Command(find("postqueue"), "-c", p.path("conf"), "-j")
	var complaints strings.Builder
	list.Stderr = &complaints
	out, err := list.Output()
	if err != nil {
		t.Fatalf("postqueue: %v\n%s", err, &complaints)
	}
	held := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; held++ {
		var message struct {
			Queue string `json:"queue_name"`
		}
		if err := decoder.Decode(&message); errors.Is(err, io.EOF) {
			return held
		} else if err != nil {
			t.Fatalf("postqueue: %v\n%s", err, out)
		}
		if message.Queue != "hold" {
			held--
		}
	}
}

// Held returns the messages that are in the hold queue, as Postfix writes them
// there: the text of each line is to be found in them.
func (p *PostfixInstance) Held(t testing.TB) []string {
	t.Helper()
	var messages []string
	err := filepath.WalkDir(p.path("queue", "hold"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		messages = append(messages, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// queued returns the files of the messages in the queue, but for those that
// are set aside.
func (p *PostfixInstance) queued(t testing.TB) []string {
	t.Helper()
	var files []string
	// In the order in which a message moves, so that none slips through.
	for _, queue := range []string{"maildrop", "incoming", "active", "deferred", "corrupt"} {
		err := filepath.WalkDir(p.path("queue", queue), func(path string, entry os.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil // delivered meanwhile
			}
			if err == nil && !entry.IsDir() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func (p *PostfixInstance) stop(t testing.TB) {
	err := p.run.Stop(10 * time.Second)
	// Its last words are an attempt to log them, which an alarm ends if the
	// log's own program went first.
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGALRM {
		err = nil
	}
	if err != nil && !t.Failed() {
		t.Errorf("Postfix: %v", err)
	}
	if strings.Contains(p.Log(), "bad command startup") {
		t.Error("a part of Postfix does not start: settings it does not take?")
	}
	if t.Failed() {
		t.Logf("the end of Postfix's log:\n%s", tail(p.Log()))
	}
}

func (p *PostfixInstance) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir}, elements...)...)
}

// postfixDir makes the directory of a Postfix, queue included. It is not
// t.TempDir(), which the user postfix could not traverse.
func postfixDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailweir-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	uid, postdrop := userID(t, "postfix"), groupID(t, "postdrop")
	gid := func(name string) int {
		switch name {
		case "queue/maildrop", "queue/public":
			return postdrop
		}
		return 0
	}
	for _, d := range []struct {
		names string
		owner int
		mode  os.FileMode
	}{
		{"conf queue queue/pid", 0, 0o755},
		{"queue/active queue/bounce queue/corrupt queue/defer queue/deferred queue/flush queue/hold", uid, 0o700},
		{"queue/incoming queue/private queue/saved queue/trace data", uid, 0o700},
		{"queue/maildrop", uid, 0o730},
		{"queue/public", uid, 0o710},
	} {
		for name := range strings.FieldsSeq(d.names) {
			makeDir(t, filepath.Join(dir, name), d.owner, gid(name), d.mode)
		}
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func makeDir(t testing.TB, path string, uid, gid int, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func userID(t testing.TB, name string) int {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return number(t, u.Uid)
}

func groupID(t testing.TB, name string) int {
	t.Helper()
	g, err := user.LookupGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	return number(t, g.Gid)
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

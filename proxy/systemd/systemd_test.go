package systemd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// child makes the test program one that tells what sockets it was passed.
const child = "SYSTEMD_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	sockets, err := Sockets()
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return
	}
	for _, s := range sockets {
		l, err := net.FileListener(s.File)
		if err != nil {
			os.Stdout.WriteString(err.Error())
			return
		}
		os.Stdout.WriteString(s.Name + " " + l.Addr().String() + "\n")
	}
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "LISTEN_") {
			os.Stdout.WriteString("left over: " + variable)
		}
	}
}

// TestSockets starts a program as a manager does, in a shell that becomes it.
func TestSockets(t *testing.T) {
	var files []*os.File
	var addresses []any
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, addresses = append(files, f), append(addresses, l.Addr().String())
	}
	for _, test := range []struct {
		name, environ, want string
	}{
		{"named", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=mx:admin", "mx A\nadmin B\n"},
		{"without names", "LISTEN_PID=$$ LISTEN_FDS=2", "unknown A\nunknown B\n"},
		{"none", "LISTEN_PID=$$ LISTEN_FDS=0", ""},
		{"of another process", "LISTEN_PID=1 LISTEN_FDS=2", ""},
		{"of nobody", "LISTEN_FDS=2", ""},
		{"fewer names", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=mx", "environment LISTEN_FDNAMES: want 2 names, got 1"},
		{"no number", "LISTEN_PID=$$ LISTEN_FDS=two", `environment LISTEN_FDS: want a number from 0 to 1000, got "two"`},
		{"negative", "LISTEN_PID=$$ LISTEN_FDS=-1", `environment LISTEN_FDS: want a number from 0 to 1000, got "-1"`},
		{"far too many", "LISTEN_PID=$$ LISTEN_FDS=99999999", `environment LISTEN_FDS: want a number from 0 to 1000, got "99999999"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", "export "+test.environ+`; exec "$0"`, os.Args[0])
			cmd.Env = append(os.Environ(), child+"=1")
			cmd.ExtraFiles = files
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer(" A\n", " "+addresses[0].(string)+"\n", " B\n", " "+addresses[1].(string)+"\n").Replace(test.want)
			if diff := cmp.Diff(want, string(out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnviron(t *testing.T) {
	before := []string{"A=1", "LISTEN_PID=7", "LISTEN_FDS=1", "LISTEN_FDNAMES=old", "B=2"}
	if diff := cmp.Diff([]string{"A=1", "B=2", "LISTEN_PID=12", "LISTEN_FDS=2", "LISTEN_FDNAMES=mx:admin"}, Environ(before, 12, []string{"mx", "admin"})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"A=1", "B=2"}, Environ(before, 12, nil)); diff != "" {
		t.Error(diff)
	}
}

// TestNotifier listens as a manager does, at a path and at an abstract name.
func TestNotifier(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@mailweir-test-" + strconv.Itoa(os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		t.Setenv("NOTIFY_SOCKET", name)
		if err := NewNotifier().Send(Ready, Status("2 sessions\nREADY=0"), ExtendTimeout(time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		l.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := l.Read(buf)
		if want := "READY=1\nSTATUS=2 sessions READY=0\nEXTEND_TIMEOUT_USEC=1000000"; err != nil || string(buf[:n]) != want {
			t.Errorf("%q, %v, want %q", buf[:n], err, want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if n := NewNotifier(); n.Wanted() || n.Send(Ready) != nil {
		t.Error("without a manager there is an error")
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if NewNotifier().Send(Ready) == nil {
		t.Error("without a socket there is no error")
	}
}

func TestWatchdog(t *testing.T) {
	me := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0},
		{"3000000", "", 3 * time.Second},
		{"3000000", me, 3 * time.Second},
		{"3000000", "1", 0},
		{"0", me, 0},
		{"-1", me, 0},
		{"x", me, 0},
		{"9223372036854775807", me, 0},
	} {
		t.Setenv("WATCHDOG_USEC", test.usec)
		t.Setenv("WATCHDOG_PID", test.pid)
		if got := Watchdog(); got != test.want {
			t.Errorf("%q for %q: %s, want %s", test.usec, test.pid, got, test.want)
		}
	}
}

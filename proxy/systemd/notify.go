package systemd

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notifier tells the manager how the program is: sd_notify(3). The zero
// Notifier tells nobody.
type Notifier struct{ address string }

// NewNotifier returns one for the manager that has started this process, if
// there is one that wants to know. The environment stays as it is.
func NewNotifier() Notifier {
	return Notifier{address: os.Getenv("NOTIFY_SOCKET")}
}

// Wanted reports whether anybody listens.
func (n Notifier) Wanted() bool { return n.address != "" }

// sendTimeout bounds the wait for a manager that does not read.
const sendTimeout = time.Second

// Send tells some of what State and others return, in one message. It may be
// called from any goroutine.
func (n Notifier) Send(lines ...string) error {
	if !n.Wanted() {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.address, Net: "unixgram"}) // a name with @ is an abstract one
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	return err
}

// What Send can tell, besides what the functions below return.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Alive    = "WATCHDOG=1"
)

// Status returns a line for systemctl status.
func Status(text string) string {
	return "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

// ExtendTimeout asks for that long from now on to get ready or to stop.
func ExtendTimeout(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// Watchdog returns within which time Alive is to be told again and again, 0 if
// nobody waits for it: sd_watchdog_enabled(3).
func Watchdog() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(time.Duration(1<<63-1)/time.Microsecond) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

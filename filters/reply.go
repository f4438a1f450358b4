package filters

import (
	"fmt"
	"strings"
)

// Reply is an SMTP reply (RFC 5321 section 4.2). The zero Reply is none.
type Reply struct {
	Code uint16    // 200 to 559
	Enh  [3]uint16 // enhanced status code (RFC 3463), zero when there is none
	Text string    // lines are separated by "\n"
}

// Permanent reports whether the reply is of class 5.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// Temporary reports whether the reply is of class 4.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// String returns the reply as one line, for logs: lines of text are joined
// by " / ".
func (r Reply) String() string {
	text := strings.ReplaceAll(r.Text, "\n", " / ")
	if r.Enh[0] == 0 {
		return fmt.Sprintf("%d %s", r.Code, text)
	}
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enh[0], r.Enh[1], r.Enh[2], text)
}

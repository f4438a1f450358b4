package filters

import (
	"strconv"
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
// by " / ". The zero Reply yields "".
func (r Reply) String() string {
	if r.Code == 0 {
		return ""
	}
	line := make([]byte, 0, len("550 5.7.999 ")+len(r.Text))
	line = strconv.AppendUint(line, uint64(r.Code), 10)
	for i, n := range r.Enh {
		if r.Enh[0] == 0 {
			break
		}
		line = strconv.AppendUint(append(line, " .."[i]), uint64(n), 10)
	}
	if r.Text != "" {
		line = append(append(line, ' '), strings.ReplaceAll(r.Text, "\n", " / ")...)
	}
	return string(line)
}

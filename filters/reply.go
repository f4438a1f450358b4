package filters

import (
	"fmt"
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
	words := []string{strconv.Itoa(int(r.Code))}
	if r.Enh[0] != 0 {
		words = append(words, fmt.Sprintf("%d.%d.%d", r.Enh[0], r.Enh[1], r.Enh[2]))
	}
	if r.Text != "" {
		words = append(words, strings.ReplaceAll(r.Text, "\n", " / "))
	}
	return strings.Join(words, " ")
}

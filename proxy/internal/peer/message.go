package peer

import "strings"

// A Message is what the Recorder acknowledged.
type Message struct {
	From, To string   // of MAIL and of the last RCPT, without angle brackets
	Rcpts    []string // of each RCPT
	Params   string   // of MAIL, behind the path
	Data     []byte   // dots unstuffed, without the final dot's line
}

// BelowReceived returns the message without the Received field on its top,
// which is the one an MTA on the way has added.
func (m Message) BelowReceived() []byte {
	_, rest := m.top()
	return rest
}

// Received returns the value of the Received field on the message's top, on one
// line: what the MTA on the way knows of its client. It is "" if there is none.
func (m Message) Received() string {
	field, _ := m.top()
	return strings.Join(strings.Fields(strings.TrimPrefix(field, "Received:")), " ")
}

// top parts the message behind the Received field on its top.
func (m Message) top() (field string, rest []byte) {
	text := string(m.Data)
	if !strings.HasPrefix(text, "Received:") {
		return "", m.Data
	}
	for end := 0; ; {
		length := strings.Index(text[end:], "\r\n")
		if length < 0 {
			return text, nil
		}
		end += length + len("\r\n")
		if end == len(text) || (text[end] != ' ' && text[end] != '\t') {
			return text[:end], []byte(text[end:])
		}
	}
}

package ordeal

import (
	"bytes"
	"encoding/json"
)

// ReadLog takes note of how transactions have ended by the relay's own log, which
// is JSON: a relay that dies inside of a transaction does not tell of its end. A
// record that was cut by its death is none.
func (l *Ledger) ReadLog(log []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logged = map[Key]string{}
	for line := range bytes.Lines(log) {
		var record struct {
			Msg     string
			From    string
			Seconds *float64 // only the end of a transaction has it
		}
		if json.Unmarshal(line, &record) != nil || record.Seconds == nil {
			continue
		}
		if key, ok := parseAddress(record.From); ok {
			l.logged[key] = record.Msg
		}
	}
}

// delivered is what the relay logs when it has passed a 250 on.
const delivered = "accepted"

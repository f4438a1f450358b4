package relay_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// A message passes as it is, and does not pile up in memory.
func TestGreatMessage(t *testing.T) {
	const size = 30 << 20
	var line bytes.Buffer
	line.WriteString(strings.Repeat("long ", 20000) + "\r\n") // no limit but memory's
	for line.Len() < 1<<20 {
		line.WriteString("..A line with a dot before it\r\n\r\n")
	}
	r := newRig(t, nil)
	for name, end := range map[string]string{"DATA": ".\r\n", "BDAT": ""} {
		c := r.dial()
		c.say("", "220")
		c.say(hello, "250")
		c.say(envelope, "250", "250")
		times := size/line.Len() + 1
		if name == "DATA" {
			c.say("DATA\r\n", "354")
		} else {
			c.say(fmt.Sprintf("BDAT %d LAST\r\n", times*line.Len()))
		}
		digest, before, most := sha256.New(), heap(), uint64(0)
		for range times {
			c.Write(line.Bytes())
			digest.Write(line.Bytes())
			most = max(most, heap())
		}
		c.say(end, "250")
		c.say("QUIT\r\n", "221")
		c.wantEnd()
		if grown := int64(most) - int64(before); grown > 2<<20 {
			t.Errorf("%s: the heap has grown by %d octets", name, grown)
		}
		want := fmt.Sprintf("%x", digest.Sum(nil))
		if got := r.up.messages[len(r.up.messages)-1]; got != want {
			t.Errorf("%s: the message has changed on its way", name)
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what lay in pools goes at the second time
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A client that sends on and on, and does not listen, is waited for, not
// stored.
func TestDeafClient(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	c.say("", "220")
	c.say(hello, "250")
	// Behind a long line a whole window of commands is read at a time.
	flood := []byte("NOOP " + strings.Repeat("x", 3000) + "\r\n" + strings.Repeat("HELP\r\n", 10000))
	before := heap()
	c.SetWriteDeadline(soon())
	for {
		if _, err := c.Write(flood); err != nil {
			break // everything is full
		}
	}
	if grown := int64(heap()) - int64(before); grown > 3<<20 {
		t.Errorf("the heap has grown by %d octets", grown)
	}
}

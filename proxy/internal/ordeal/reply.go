package ordeal

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// reply says what is due, or not.
func (v *visit) reply(to, text string) error {
	_, err := v.agree(to, text)
	return err
}

// agree is reply for one that says yes: it reports whether it did so.
func (v *visit) agree(to, text string) (ok bool, err error) {
	return v.sayWith(draw(v.random, v.Rate, ofReply), to, text)
}

// sayWith says what is due with a fault. It reports whether that was said to the
// last octet.
func (v *visit) sayWith(f fault, to, text string) (ok bool, err error) {
	due := strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
	if due[0] == '5' {
		v.ledger.refused(due)
	}
	if f != none {
		v.ledger.count("reply: " + string(f))
	}
	switch f {
	case closes:
		return false, errOver
	case resets:
		reset(v.tcp)
		return false, errOver
	case half:
		v.writeHalf(due)
		return false, errOver
	case later, never:
		return false, v.write(v.refusal(f, to))
	case shuts:
		v.write(v.refusal(f, to))
		return false, errOver
	}
	v.before(f)
	if f == drips {
		err = v.drip(due)
	} else {
		err = v.write(due)
	}
	if err == nil {
		ok, err = true, v.after(f, to)
	}
	return ok, err
}

// before does what comes before the reply.
func (v *visit) before(f fault) {
	switch f {
	case slow:
		v.sleep(v.pause())
	case stalls:
		v.stall()
	case dies:
		v.kill()
	}
}

// after does what comes after the reply.
func (v *visit) after(f fault, to string) error {
	switch f {
	case diesThen:
		v.kill()
	case vanishes:
		reset(v.tcp)
		return errOver
	case leaves:
		return errOver
	case speaks:
		v.sleep(v.pause())
		v.write(v.refusal(shuts, to))
		return errOver
	}
	return nil
}

// drip writes octet by octet, which are segments of their own.
func (v *visit) drip(text string) error {
	for i := range len(text) {
		if err := v.write(text[i : i+1]); err != nil {
			return err
		}
		v.sleep(50 * time.Microsecond)
	}
	return nil
}

// writeHalf writes a reply without its end, which TLS may end in the middle of a
// record.
func (v *visit) writeHalf(text string) {
	n := v.random.IntN(len(text) - 1)
	if v.secure && v.random.IntN(2) == 0 {
		v.cut.after(n)
		n = len(text)
	}
	v.write(text[:n])
}

func (v *visit) write(text string) error {
	_, err := v.conn.Write([]byte(text))
	return err
}

func (v *visit) pause() time.Duration { return time.Duration(v.random.Int64N(int64(maxSlow))) }

// refusal returns a reply that no other upstream, connection or command got.
func (v *visit) refusal(f fault, to string) string {
	v.said++
	code := map[fault]string{later: "451 4.3.0", never: "554 5.3.0", shuts: "421 4.3.2"}[f]
	text := fmt.Sprintf("%s Not to %s, %s %d.%d\r\n", code, to, v.Name, v.number, v.said)
	if f == never {
		v.ledger.refused(text)
	}
	return text
}

// ofEnd are the faults of the reply to a text.
var ofEnd = append([]fault{closes, closes, resets, half, half, vanishes, stalls, dies, dies, dies, diesThen, diesThen}, ofReply...)

// end settles a text that has come whole. With its reply to that the message is
// the upstream's, whether that reply arrives or not.
func (v *visit) end(text []byte) error {
	f := draw(v.random, v.Rate, ofEnd)
	key, rcpts := v.key, v.rcpts
	v.forget()
	refuses := f == later || f == never || f == shuts
	if refuses || (f == closes || f == resets || f == half) && v.random.IntN(3) == 0 {
		// It is not taken.
		_, err := v.sayWith(f, "end", "250 2.0.0 Nothing")
		return err
	}
	take := &Take{Key: key, Rcpts: rcpts, Client: v.client, Fault: v.compare(key, text)}
	switch f {
	case closes, resets, half, vanishes, stalls:
		take.Misled = string(f)
	}
	v.ledger.took(take)
	due := "250 2.0.0 taken " + key.String()
	if v.random.IntN(2) == 0 {
		due = "250-2.0.0 Thank you\n" + due
	}
	ok, err := v.sayWith(f, "end", due)
	if ok {
		v.ledger.told(take)
	}
	return err
}

// compare tells what is wrong with a text.
func (v *visit) compare(k Key, text []byte) string {
	if v.Original != nil {
		original, wrong := v.Original(text)
		if wrong != "" {
			return wrong
		}
		text = original
	}
	want := Text(v.Seed, k.Message)
	if !bytes.Equal(text, want) {
		return fmt.Sprintf("%d octets, which are not the %d that were sent; it ends with %q", len(text), len(want), text[max(0, len(text)-40):])
	}
	return ""
}

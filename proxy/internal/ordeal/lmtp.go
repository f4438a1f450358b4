package ordeal

import (
	"fmt"
	"slices"
)

// endEach is end for LMTP: a reply for each recipient, one of which a fault may
// strike (RFC 2033 section 4.2). With its reply the message is the recipient's,
// whether that arrives or not.
func (v *visit) endEach(text []byte) error {
	key, rcpts := v.key, v.rcpts
	v.forget()
	f, at := draw(v.random, v.Rate, ofEnd), v.random.IntN(len(rcpts))
	take := &Take{Key: key, Rcpts: rcpts, Client: v.client, Fault: v.compare(key, text)}
	switch f {
	case later, never:
		take.Rcpts, take.Partly = slices.Delete(slices.Clone(rcpts), at, at+1), string(f)
	case shuts:
		take.Rcpts, take.Misled = rcpts[:at], string(f)
	case closes, resets, half:
		if take.Misled = string(f); v.random.IntN(3) == 0 {
			take.Rcpts = rcpts[:at]
		}
	case vanishes, stalls:
		take.Misled = string(f)
	case leaves, speaks:
		if at < len(rcpts)-1 {
			take.Misled = string(f)
		}
	}
	if len(take.Rcpts) > 0 {
		v.ledger.took(take)
	}
	said := true
	for i, rcpt := range rcpts {
		strikes := none
		if i == at {
			strikes = f
		}
		ok, err := v.sayWith(strikes, "end", fmt.Sprintf("250 2.1.5 <%s> taken %s", rcpt, key))
		if said = said && ok; said && i == len(rcpts)-1 {
			v.ledger.told(take)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

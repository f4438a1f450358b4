package filtertest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// Session returns the session of a client with that address at
// mx.example.org, which is 203.0.113.25.
func Session(client string) *filters.Session {
	return &filters.Session{
		ID:       "s1",
		Listener: "mx",
		Hostname: "mx.example.org",
		Client:   netip.AddrPortFrom(netip.MustParseAddr(client), 40000),
		Local:    netip.MustParseAddrPort("203.0.113.25:25"),
	}
}

// Path returns the path to a plain address; "" is the null path.
func Path(address string) *filters.Path {
	p := &filters.Path{Local: address, Raw: "<" + address + ">"}
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		p.Local, p.Domain = address[:at], address[at+1:]
	}
	return p
}

// Show spells a verdict for tables: "continue", "accept allowed", or the
// reply's code and enhanced code with the reason as in "554 5.7.1 denied".
func Show(v filters.Verdict) string {
	switch {
	case v == filters.Verdict{}:
		return "continue"
	case v.Finding.Err != nil:
		return "error " + v.Finding.Err.Error()
	case v.Finding.Reply.Code == 0:
		return fmt.Sprintf("%v %s", v.Action, v.Finding.Reason)
	}
	r := v.Finding.Reply
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enh[0], r.Enh[1], r.Enh[2], v.Finding.Reason)
}

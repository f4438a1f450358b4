package relay

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// keyword is an EHLO keyword that mailweir really carries.
type keyword struct {
	name   string
	params []string // of MAIL and RCPT, that go with it
}

// keywords are offered when the upstream offers them. All others are withheld,
// unless the configuration lists them: what is not understood cannot be
// relayed faithfully.
var keywords = []keyword{
	{"8BITMIME", []string{"BODY"}},                       // RFC 6152
	{"AUTH", []string{"AUTH"}},                           // RFC 4954
	{"BINARYMIME", []string{"BODY"}},                     // RFC 3030
	{"CHUNKING", nil},                                    // RFC 3030
	{"DELIVERBY", []string{"BY"}},                        // RFC 2852
	{"DSN", []string{"RET", "ENVID", "NOTIFY", "ORCPT"}}, // RFC 3461
	{"ENHANCEDSTATUSCODES", nil},                         // RFC 2034
	{"ETRN", nil},                                        // RFC 1985
	{"EXPN", nil},                                        // RFC 5321
	{"FUTURERELEASE", []string{"HOLDFOR", "HOLDUNTIL"}},  // RFC 4865
	{"HELP", nil},                                        // RFC 5321
	{"LIMITS", nil},                                      // RFC 9422
	{"MT-PRIORITY", []string{"MT-PRIORITY"}},             // RFC 6710
	{"MTRK", []string{"MTRK"}},                           // RFC 3885
	{"NO-SOLICITING", []string{"SOLICIT"}},               // RFC 3865
	{"PIPELINING", nil},                                  // RFC 2920
	{"RRVS", []string{"RRVS"}},                           // RFC 7293
	{"SIZE", []string{"SIZE"}},                           // RFC 1870
	{"SMTPUTF8", []string{"SMTPUTF8"}},                   // RFC 6531
	{"SUBMITTER", []string{"SUBMITTER"}},                 // RFC 4405
	{"VRFY", nil},                                        // RFC 5321
}

// offer is what a client was offered: the upstream's keywords, less what
// mailweir does not carry and what the chain hides.
type offer struct {
	lines  []string // keyword and arguments, as told to the client
	names  []string // the keywords, in upper case
	params []string // parameters that may be used
}

// nothing is the offer of HELO.
var nothing offer

// knownOffer is an offer with the reply that it was made of.
type knownOffer struct {
	lines string
	offer *offer
}

// offerOf returns the offer for an upstream's reply to EHLO. An upstream says
// mostly the same, so sessions share the last one.
func (r *terms) offerOf(reply []byte) *offer {
	_, lines, _ := bytes.Cut(reply, []byte("\r\n"))
	if known := r.lastOffer.Load(); known != nil && known.lines == string(lines) {
		return known.offer
	}
	o := r.newOffer(reply)
	r.lastOffer.Store(&knownOffer{string(lines), &o})
	return &o
}

// newOffer reads the lines of an upstream's reply to EHLO.
func (r *terms) newOffer(reply []byte) offer {
	var o offer
	first := true
	for line := range bytes.SplitSeq(bytes.TrimSuffix(reply, []byte("\r\n")), []byte("\r\n")) {
		if first || len(line) <= 4 {
			first = false
			continue
		}
		o.add(r, string(line[4:]))
	}
	return o
}

func (o *offer) add(r *terms, line string) {
	name, args, _ := strings.Cut(line, " ")
	name = strings.ToUpper(name)
	if mechs, ok := strings.CutPrefix(name, "AUTH="); ok {
		// An old spelling that some clients still look for.
		name, args = "AUTH", strings.TrimSpace(mechs+" "+strings.ToUpper(args))
	}
	i := slices.IndexFunc(keywords, func(k keyword) bool { return k.name == name })
	listed := slices.Contains(r.PassKeywords, name)
	if i < 0 && !listed || slices.Contains(r.announce.Hide, name) {
		return
	}
	if r.FixLines && (name == "CHUNKING" || name == "BINARYMIME") {
		return // a chunk's announced size cannot change on its way
	}
	if r.hold && name == "BINARYMIME" {
		return // what was held goes on with DATA, where binary octets end messages
	}
	switch name {
	case "SIZE":
		line = sizeLine(args, r.announce.Size)
	case "LIMITS":
		line = limitsLine(args, r.announce.Rcpts)
	}
	o.lines = append(o.lines, line)
	o.names = append(o.names, name)
	if i >= 0 {
		o.params = append(o.params, keywords[i].params...)
	} else {
		o.params = append(o.params, name)
	}
}

// sizeLine offers the smaller of both limits (RFC 1870 section 4: none and 0
// are no limit).
func sizeLine(upstream string, ours int64) string {
	theirs, err := strconv.ParseInt(strings.TrimSpace(upstream), 10, 64)
	if err != nil || theirs < 0 {
		theirs = 0
	}
	a := filters.Announcement{Size: theirs}
	a.LimitSize(ours)
	if a.Size == 0 {
		return strings.TrimSpace("SIZE " + upstream)
	}
	return "SIZE " + strconv.FormatInt(a.Size, 10)
}

// limitsLine lowers RCPTMAX (RFC 9422 section 4.2) to our limit.
func limitsLine(upstream string, ours int) string {
	words := strings.Fields(upstream)
	for i, w := range words {
		key, value, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(value)
		if strings.EqualFold(key, "RCPTMAX") && err == nil && ours > 0 && ours < n {
			words[i] = "RCPTMAX=" + strconv.Itoa(ours)
		}
	}
	return strings.Join(append([]string{"LIMITS"}, words...), " ")
}

// has reports whether the keyword, in upper case, was offered.
func (o *offer) has(name string) bool { return slices.Contains(o.names, name) }

// covers reports whether a client that was offered other can go on with o.
func (o *offer) covers(other *offer) bool {
	for _, name := range other.names {
		if !o.has(name) {
			return false
		}
	}
	return true
}

// refusedParam returns the first parameter of a path that was not offered, or
// "" if all were.
func (o *offer) refusedParam(p *filters.Path) string {
	for rest := p.Params; rest != ""; {
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		key, value, _ := strings.Cut(word, "=")
		if !o.allows(key, value) {
			return key
		}
	}
	return ""
}

func (o *offer) allows(key, value string) bool {
	if strings.EqualFold(key, "BODY") {
		if strings.EqualFold(value, "BINARYMIME") {
			return o.has("BINARYMIME")
		}
		return o.has("8BITMIME")
	}
	for _, p := range o.params {
		if strings.EqualFold(p, key) {
			return true
		}
	}
	return false
}

// append appends the reply to EHLO.
func (o *offer) append(dst []byte, hostname string) []byte {
	sep := func(last bool) byte {
		if last {
			return ' '
		}
		return '-'
	}
	dst = append(dst, '2', '5', '0', sep(len(o.lines) == 0))
	dst = append(dst, hostname...)
	dst = append(dst, '\r', '\n')
	for i, line := range o.lines {
		dst = append(dst, '2', '5', '0', sep(i == len(o.lines)-1))
		dst = append(dst, line...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// ownOffer is what a client is offered that will be refused: enough that it
// comes to the point.
var ownOffer = offer{
	lines:  []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN", "SIZE"},
	names:  []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN", "SIZE"},
	params: []string{"BODY", "SMTPUTF8", "RET", "ENVID", "NOTIFY", "ORCPT", "SIZE"},
}

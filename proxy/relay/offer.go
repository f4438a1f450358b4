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

	plain *offer // the same without AUTH, nil if that is the same
}

// clear returns the offer for connections in clear.
func (o *offer) clear() *offer {
	if o.plain != nil {
		return o.plain
	}
	return o
}

// nothing is the offer of HELO.
var nothing offer

// knownOffer is an offer with the reply that it was made of.
type knownOffer struct {
	lines string
	lmtp  bool
	offer *offer
}

// offerOf returns the offer for an upstream's reply to EHLO. An upstream says
// mostly the same, so sessions share the last one.
func (r *terms) offerOf(reply []byte, lmtp bool) *offer {
	_, lines, _ := bytes.Cut(reply, []byte("\r\n"))
	if known := r.lastOffer.Load(); known != nil && known.lmtp == lmtp && known.lines == string(lines) {
		return known.offer
	}
	o := r.newOffer(reply, lmtp)
	r.lastOffer.Store(&knownOffer{string(lines), lmtp, o})
	return o
}

// newOffer reads the lines of an upstream's reply to EHLO.
func (r *terms) newOffer(reply []byte, lmtp bool) *offer {
	var o offer
	first := true
	for line := range bytes.SplitSeq(bytes.TrimSuffix(reply, []byte("\r\n")), []byte("\r\n")) {
		if first || len(line) <= 4 {
			first = false
			continue
		}
		o.add(r, string(line[4:]), lmtp)
	}
	if o.has("AUTH") {
		o.plain = o.without("AUTH")
	}
	return &o
}

// without returns the offer less one keyword.
func (o *offer) without(name string) *offer {
	var less offer
	for i, n := range o.names {
		if n != name {
			less.take(n, o.lines[i])
		}
	}
	return &less
}

func (o *offer) add(r *terms, line string, lmtp bool) {
	name, args, _ := strings.Cut(line, " ")
	name = strings.ToUpper(name)
	if mechs, ok := strings.CutPrefix(name, "AUTH="); ok {
		// An old spelling that some clients still look for.
		name, args = "AUTH", strings.TrimSpace(mechs+" "+strings.ToUpper(args))
	}
	listed := slices.Contains(r.PassKeywords, name)
	if find(name) == nil && !listed || slices.Contains(r.announce.Hide, name) {
		return
	}
	if lmtp && (name == "CHUNKING" || name == "BINARYMIME") {
		return // the last chunk has a reply for each recipient
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
	o.take(name, line)
}

// take adds a keyword, with its line as the client is told it.
func (o *offer) take(name, line string) {
	o.lines = append(o.lines, line)
	o.names = append(o.names, name)
	if k := find(name); k != nil {
		o.params = append(o.params, k.params...)
	} else {
		o.params = append(o.params, name)
	}
}

// find returns the keyword of that name, nil if mailweir does not know it.
func find(name string) *keyword {
	i := slices.IndexFunc(keywords, func(k keyword) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &keywords[i]
}

// sizeLine offers the smaller of both limits (RFC 1870 section 4: none and 0
// are no limit).
func sizeLine(upstream string, ours int64) string {
	a := filters.Announcement{Size: number(upstream)}
	a.LimitSize(ours)
	if a.Size == 0 {
		return strings.TrimSpace("SIZE " + upstream)
	}
	return "SIZE " + strconv.FormatInt(a.Size, 10)
}

// number reads the argument of SIZE: 0 if it is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
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

// append appends the reply to EHLO, with keywords of our own behind those of the
// offer.
func (o *offer) append(dst []byte, hostname string, own []string) []byte {
	left := len(o.lines) + len(own)
	line := func(text string) {
		sep := byte('-')
		if left--; left < 0 {
			sep = ' '
		}
		dst = append(dst, '2', '5', '0', sep)
		dst = append(append(dst, text...), '\r', '\n')
	}
	line(hostname)
	for _, l := range o.lines {
		line(l)
	}
	for _, l := range own {
		line(l)
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

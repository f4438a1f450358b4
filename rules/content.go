package rules

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// content reads a message while it passes: the names and media types of its
// attachments, and the beginning of its text. It keeps no more than that.
//
// Where mail programs differ in what they take for a part, it takes more: a
// boundary ends the parts inside, and a message inside of a message is read as
// one.
type content struct {
	wantText, wantParts bool

	line    []byte // not complete yet
	long    bool   // more of the line was dropped
	head    []byte // header section of the part that begins
	inHead  bool
	bounds  []string // of the multiparts that are open, each with -- in front
	depth   int
	parts   int
	raw     []byte // encoded text of the part
	keep    bool   // the part is text, of which raw takes more
	code    string // how it is encoded
	charset string

	attachments []attachment
	body        strings.Builder
	done        bool // no more is needed
	err         error
}

type attachment struct {
	names     []string // mail programs differ in which of two they take
	mediaType string
}

// Bounds of what is read of a message.
const (
	maxBody     = 64 << 10 // octets of decoded text
	maxDepth    = 20       // parts within parts
	maxParts    = 1000     // of a message, RFC 2046 section 5.1.1 has no limit
	maxHead     = 1 << 20  // octets of a header section; the front end bounds that of the message itself
	maxPartLine = 64 << 10 // octets of a line; RFC 5321 section 4.5.3.1.6 has 1000, others have more
	maxFileName = 1024     // octets
)

var (
	errParts = errors.New("the message has more than 1000 parts")
	errDepth = errors.New("the message has parts within parts, deeper than 20")
	errHead  = errors.New("a part of the message has a header section of more than 1 MiB")
)

func newContent(text, parts bool) *content {
	return &content{wantText: text, wantParts: parts, inHead: true}
}

// Write takes a piece of the message.
func (c *content) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && !c.done {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.hold(p)
			break
		}
		line := p[:i]
		if len(c.line) > 0 || c.long {
			c.hold(line)
			line = c.line
		}
		if len(line) > maxPartLine {
			line = line[:maxPartLine]
		}
		c.take(bytes.TrimSuffix(line, []byte("\r")))
		c.line, c.long = c.line[:0], false
		p = p[i+1:]
	}
	if c.done {
		return n, filters.ErrSkip
	}
	return n, nil
}

// hold keeps the beginning of a line that is not complete.
func (c *content) hold(p []byte) {
	if room := maxPartLine - len(c.line); len(p) > room {
		p, c.long = p[:room], true
	}
	c.line = append(c.line, p...)
}

// end reads what is left after the last line, and tells what went wrong.
func (c *content) end() error {
	if len(c.line) > 0 && !c.done {
		c.take(c.line)
		c.line = nil
	}
	if c.inHead && len(c.head) > 0 && !c.done {
		c.begin()
	}
	c.flush()
	return c.err
}

// text returns the text of the message.
func (c *content) text() string { return c.body.String() }

// take reads one line.
func (c *content) take(line []byte) {
	switch {
	case c.boundary(line):
	case c.inHead && len(line) == 0:
		c.begin()
	case c.inHead && len(c.head)+len(line)+2 > maxHead:
		c.fail(errHead)
	case c.inHead:
		c.head = append(append(c.head, line...), '\r', '\n')
	case c.keep:
		c.raw = append(append(c.raw, line...), '\n')
		if len(c.raw) > 2*maxBody { // base64 takes 4/3, quoted-printable rarely more
			c.flush()
		}
	}
}

// boundary reports whether the line begins or ends a part.
func (c *content) boundary(line []byte) bool {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return false
	}
	for i := len(c.bounds) - 1; i >= 0; i-- {
		rest, ok := bytes.CutPrefix(line, []byte(c.bounds[i]))
		if !ok {
			continue
		}
		rest = bytes.TrimRight(rest, " \t")
		if len(rest) != 0 && string(rest) != "--" {
			continue
		}
		c.flush()
		if c.inHead && len(c.head) > 0 {
			c.begin() // a part that is a header section only
		}
		c.bounds = c.bounds[:min(i+1, len(c.bounds))] // still open after its end: some mail programs read on
		c.inHead = len(rest) == 0
		c.head = c.head[:0]
		return true
	}
	return false
}

// begin reads the header section of a part, whose body follows.
func (c *content) begin() {
	h := filters.ParseHeader(string(c.head))
	c.inHead, c.head = false, c.head[:0]
	if c.parts++; c.parts > maxParts {
		c.fail(errParts)
		return
	}
	mediaType, params := typeOf(h)
	switch {
	case strings.HasPrefix(mediaType, "multipart/") && params["boundary"] != "":
		if len(c.bounds) >= maxDepth {
			c.fail(errDepth)
			return
		}
		c.bounds = append(c.bounds, "--"+strings.TrimRight(params["boundary"], " \t"))
		return
	case mediaType == "message/rfc822" || mediaType == "message/global":
		if c.depth++; c.depth > maxDepth {
			c.fail(errDepth)
			return
		}
		c.leaf(h, mediaType, params)
		c.inHead = true
		return
	}
	c.leaf(h, mediaType, params)
	c.enough()
}

// typeOf returns the media type of a part, in lower case (RFC 2045 section 5.2).
func typeOf(h filters.Header) (string, map[string]string) {
	v := h.Get("Content-Type")
	if v == "" {
		return "text/plain", nil
	}
	mediaType, params, err := mime.ParseMediaType(unfold(v))
	if mediaType == "" || err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		word, rest, _ := strings.Cut(v, ";")
		return strings.ToLower(strings.TrimSpace(word)), looseParams(rest)
	}
	if err != nil {
		_, rest, _ := strings.Cut(v, ";")
		params = looseParams(rest)
	}
	return mediaType, params
}

// looseParams reads parameters that break the rules, as mail programs do.
func looseParams(s string) map[string]string {
	params := map[string]string{}
	for word := range strings.SplitSeq(unfold(s), ";") {
		key, value, ok := strings.Cut(word, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, twice := params[key]; ok && !twice {
			params[key] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return params
}

func unfold(s string) string {
	return strings.NewReplacer("\r\n", "", "\r", "", "\n", "").Replace(s)
}

// leaf notes a part without parts: an attachment, or text.
func (c *content) leaf(h filters.Header, mediaType string, params map[string]string) {
	disposition, more := dispositionOf(h)
	names := fileNames(more["filename"], params["name"])
	if len(names) > 0 || disposition == "attachment" || !strings.HasPrefix(mediaType, "text/") {
		c.attachments = append(c.attachments, attachment{names, cut(mediaType, maxFileName)})
		return
	}
	if c.wantText && c.body.Len() < maxBody {
		c.keep = true
		c.code = strings.ToLower(h.Get("Content-Transfer-Encoding"))
		c.charset = strings.ToLower(params["charset"])
	}
}

func dispositionOf(h filters.Header) (string, map[string]string) {
	v := h.Get("Content-Disposition")
	if v == "" {
		return "", nil
	}
	disposition, params, err := mime.ParseMediaType(unfold(v))
	if err != nil {
		word, rest, _ := strings.Cut(v, ";")
		return strings.ToLower(strings.TrimSpace(word)), looseParams(rest)
	}
	return disposition, params
}

// fileNames returns the names there are, decoded (RFC 2231, which the parser
// does, and RFC 2047, which many use instead).
func fileNames(filename, name string) []string {
	var names []string
	if filename != "" {
		names = append(names, cut(decodeField(filename), maxFileName))
	}
	if name != "" && name != filename {
		names = append(names, cut(decodeField(name), maxFileName))
	}
	return names
}

// flush decodes the text of the part that ends.
func (c *content) flush() {
	if !c.keep {
		return
	}
	c.keep = false
	room := maxBody - c.body.Len()
	if c.body.Len() > 0 && room > 0 {
		c.body.WriteByte('\n')
		room--
	}
	decoded, _ := io.ReadAll(io.LimitReader(decoder(c.code, c.raw), int64(room))) // up to where it is broken
	c.body.WriteString(cut(toUTF8(c.charset, decoded), room))
	c.raw = c.raw[:0]
	c.enough()
}

func decoder(code string, raw []byte) io.Reader {
	switch code {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, bytes.NewReader(raw))
	case "quoted-printable":
		return quotedprintable.NewReader(bytes.NewReader(raw))
	}
	return bytes.NewReader(raw)
}

// toUTF8 makes Latin-1 readable. Other character sets stay as they are, in
// which ASCII mostly is itself.
func toUTF8(charset string, b []byte) string {
	switch charset {
	case "iso-8859-1", "latin1", "windows-1252", "iso-8859-15":
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes)
	}
	return string(b)
}

// enough stops the reading when no part can follow that is wanted.
func (c *content) enough() {
	whole := len(c.bounds) == 0 && !c.inHead // no part can follow
	full := !c.wantText || c.body.Len() >= maxBody || whole && !c.keep
	if full && (!c.wantParts || whole) {
		c.done = true
	}
}

func (c *content) fail(err error) { c.err, c.done = err, true }

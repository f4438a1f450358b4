package relay

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// rewrite returns a held message with its edits made. Fields that no edit
// names stay as they are, octet by octet.
func (p *spool) rewrite(edits []filters.Edit) (io.Reader, error) {
	head := make([]byte, min(p.size, maxHeader))
	if _, err := io.ReadFull(p.reader(0), head); err != nil {
		return nil, err
	}
	section := headerSection(head)
	h := cutFields(string(head[:section]))
	body := p.reader(int64(section))
	for _, e := range edits {
		if r, ok := e.(filters.ReplaceBody); ok {
			body = replacedBody(r.Body)
			continue
		}
		h.edit(e)
	}
	return io.MultiReader(strings.NewReader(h.String()), body), nil
}

// replacedBody is the empty line and another body, with CRLF at all line ends.
func replacedBody(body io.Reader) io.Reader {
	return io.MultiReader(strings.NewReader("\r\n"), &lineEnds{src: body})
}

// headerSection returns the length of the header section, without the empty
// line behind it. A line that is no field ends it: see filters.ParseHeader.
func headerSection(content []byte) int {
	at := 0
	for at < len(content) {
		end := bytes.Index(content[at:], []byte("\r\n"))
		if end < 0 {
			return at
		}
		line := content[at : at+end]
		folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && at > 0
		if !folded && len(filters.ParseHeader(string(line)+"\r\n")) == 0 {
			return at
		}
		at += end + 2
	}
	return at
}

// rawField is a header field as it stands, with its CRLF.
type rawField struct {
	name    string
	raw     string
	removed bool
}

// fields are a header section that is being edited.
type fields []rawField

func cutFields(section string) *fields {
	var h fields
	for section != "" {
		end := fieldEnd(section)
		name, _, _ := strings.Cut(section[:end], ":")
		h = append(h, rawField{name: strings.TrimRight(name, " \t"), raw: section[:end]})
		section = section[end:]
	}
	return &h
}

// fieldEnd returns the length of the field that s begins with, folds included.
func fieldEnd(s string) int {
	at := 0
	for {
		at += strings.Index(s[at:], "\r\n") + 2
		if at >= len(s) || s[at] != ' ' && s[at] != '\t' {
			return at
		}
	}
}

func (h *fields) edit(e filters.Edit) {
	switch e := e.(type) {
	case filters.AddField:
		*h = append(*h, newField(e.Name, e.Value))
	case filters.InsertField:
		// There is no Received field of ours: 0 and 1 are the same place.
		at := min(max(e.Index-1, 0), len(*h))
		*h = slices.Insert(*h, at, newField(e.Name, e.Value))
	case filters.ChangeField:
		if f := h.find(e.Name, e.Nth); f != nil {
			*f = newField(f.name, e.Value)
			return
		}
		*h = append(*h, newField(e.Name, e.Value))
	case filters.RemoveField:
		if f := h.find(e.Name, e.Nth); f != nil {
			f.removed = true
		}
	}
}

// find returns the nth field of that name, those removed included.
func (h *fields) find(name string, nth int) *rawField {
	for i := range *h {
		if f := &(*h)[i]; strings.EqualFold(f.name, name) {
			if nth--; nth == 0 {
				return f
			}
		}
	}
	return nil
}

func newField(name, value string) rawField {
	value = strings.ReplaceAll(strings.ReplaceAll(value, "\r\n", "\n"), "\n", "\r\n")
	return rawField{name: name, raw: name + ": " + strings.TrimLeft(value, " ") + "\r\n"}
}

// String returns the header section.
func (h *fields) String() string {
	var b strings.Builder
	for _, f := range *h {
		if !f.removed {
			b.WriteString(f.raw)
		}
	}
	return b.String()
}

package rules

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
)

func readClient(e *evaluation, _ string, r *reading) { r.address(e.s.Client.Addr()) }
func readClientPort(e *evaluation, _ string, r *reading) {
	r.number(float64(e.s.Client.Port()))
}
func readVia(e *evaluation, _ string, r *reading)   { r.address(e.s.Via.Addr()) }
func readLocal(e *evaluation, _ string, r *reading) { r.address(e.s.Local.Addr()) }
func readLocalPort(e *evaluation, _ string, r *reading) {
	r.number(float64(e.s.Local.Port()))
}
func readListener(e *evaluation, _ string, r *reading)    { r.text(e.s.Listener, Text) }
func readHostname(e *evaluation, _ string, r *reading)    { r.text(e.s.Hostname, Domain) }
func readDaemon(e *evaluation, _ string, r *reading)      { r.text(e.s.Daemon, Text) }
func readHelo(e *evaluation, _ string, r *reading)        { r.text(e.s.Helo, Domain) }
func readESMTP(e *evaluation, _ string, r *reading)       { r.flag(e.s.ESMTP) }
func readTLS(e *evaluation, _ string, r *reading)         { r.flag(e.s.TLS.Version != "") }
func readTLSVersion(e *evaluation, _ string, r *reading)  { r.text(e.s.TLS.Version, Text) }
func readTLSCipher(e *evaluation, _ string, r *reading)   { r.text(e.s.TLS.Cipher, Text) }
func readServerName(e *evaluation, _ string, r *reading)  { r.text(e.s.TLS.ServerName, Domain) }
func readTLSClient(e *evaluation, _ string, r *reading)   { r.text(e.s.TLS.Client, Text) }
func readFingerprint(e *evaluation, _ string, r *reading) { r.text(e.s.TLS.Fingerprint, Text) }
func readVerified(e *evaluation, _ string, r *reading)    { r.flag(e.s.TLS.Verified) }
func readAuthUser(e *evaluation, _ string, r *reading)    { r.text(e.s.AuthUser, Text) }
func readAuthType(e *evaluation, _ string, r *reading)    { r.text(e.s.AuthType, Text) }

// The facts of the client's name. They are learnt by another kind, or told by
// the MTA that asks.
const (
	factName      = "client.name"
	factConfirmed = "client.fcrdns"
)

func readClientName(e *evaluation, _ string, r *reading) { readNameFact(e, factName, r) }
func readConfirmed(e *evaluation, _ string, r *reading)  { readNameFact(e, factConfirmed, r) }

func readNameFact(e *evaluation, fact string, r *reading) {
	name, _ := e.fact(fact, r).(string)
	if name == "" && r.err == nil {
		name = e.s.ClientName
	}
	r.text(name, Domain)
}

func readFrom(e *evaluation, _ string, r *reading) { r.text(e.t.From.String(), Mailbox) }
func readFromLocal(e *evaluation, _ string, r *reading) {
	r.text(e.t.From.Local, Text)
}
func readFromDomain(e *evaluation, _ string, r *reading) { r.text(e.t.From.Domain, Domain) }
func readFromParam(e *evaluation, name string, r *reading) {
	readParam(e.t.From, name, r)
}

// readParam reads a parameter, whose value may be empty.
func readParam(p *filters.Path, name string, r *reading) {
	if v, ok := p.Param(name); ok {
		r.put(value{text: v, kind: Text})
	}
}

func readSize(e *evaluation, _ string, r *reading) {
	if e.stage >= filters.EOM {
		r.put(value{num: float64(e.t.Size), kind: Size})
		return
	}
	r.put(value{num: float64(e.t.Declared), kind: Size})
}

func readTo(e *evaluation, _ string, r *reading) {
	e.eachTo(func(p *filters.Path) { r.text(p.String(), Mailbox) })
}
func readToLocal(e *evaluation, _ string, r *reading) {
	e.eachTo(func(p *filters.Path) { r.text(p.Local, Text) })
}
func readToDomain(e *evaluation, _ string, r *reading) {
	e.eachTo(func(p *filters.Path) { r.text(p.Domain, Domain) })
}
func readToParam(e *evaluation, name string, r *reading) {
	e.eachTo(func(p *filters.Path) { readParam(p, name, r) })
}

// eachTo is asked about the recipient in question, or all.
func (e *evaluation) eachTo(do func(*filters.Path)) {
	if e.to != nil {
		do(e.to)
		return
	}
	for _, p := range e.t.Rcpts {
		do(p)
	}
}

func readRecipients(e *evaluation, _ string, r *reading) {
	n := len(e.t.Rcpts)
	if e.stage == filters.Rcpt {
		n++
	}
	r.number(float64(n))
}

// maxFields bounds the fields of one name that are looked at.
const maxFields = 1000

func readHeader(e *evaluation, name string, r *reading) {
	for _, f := range e.t.Header {
		if len(f.Name) == len(name) && strings.EqualFold(f.Name, name) && len(r.values) < maxFields {
			r.put(value{text: cut(decodeField(f.Value), maxText), kind: Text})
		}
	}
}

// decodeField returns a field's value without folds and encoded words (RFC
// 2047). What cannot be decoded stays as it is.
func decodeField(v string) string {
	v = strings.TrimSpace(strings.NewReplacer("\r\n", "", "\r", "", "\n", "").Replace(v))
	if !strings.Contains(v, "=?") {
		return v
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(v)
	if err != nil {
		return v
	}
	return decoded
}

func readHeaders(e *evaluation, _ string, r *reading) { r.number(float64(len(e.t.Header))) }

func readAttachmentName(e *evaluation, _ string, r *reading) {
	for _, a := range e.content(r).attachments {
		for _, name := range a.names {
			r.text(name, Text)
		}
	}
}

func readAttachmentType(e *evaluation, _ string, r *reading) {
	for _, a := range e.content(r).attachments {
		r.text(a.mediaType, Text)
	}
}

func readBody(e *evaluation, _ string, r *reading) { r.text(e.content(r).text(), Text) }

// content returns what the sink has read of the message.
func (e *evaluation) content(r *reading) *content {
	st := e.state()
	if st.content == nil {
		return &content{}
	}
	r.err = st.content.end()
	return st.content
}

func readFindings(e *evaluation, _ string, r *reading) {
	for _, n := range e.t.Findings() {
		r.text(n.Filter+":"+n.Reason, Text)
	}
}

func readTags(e *evaluation, _ string, r *reading) {
	for _, tag := range e.state().tags {
		r.text(tag, Text)
	}
}

func readScore(e *evaluation, _ string, r *reading) { r.number(float64(e.state().score)) }

func readFact(e *evaluation, name string, r *reading) { r.free(e.fact(name, r)) }

// factWait is the longest wait for a fact that is still being learnt.
const factWait = 10 * time.Second

// fact returns a fact of the transaction or the session; nil for none.
func (e *evaluation) fact(name string, r *reading) any {
	if facts := e.p.fields.facts; facts != nil && !facts[name] {
		return nil // nobody sets it
	}
	ctx, cancel := context.WithTimeout(e.ctx, factWait)
	defer cancel()
	if e.t != nil {
		v, err := filters.LookupFact(ctx, e.t, name)
		if !errors.Is(err, filters.ErrNoFact) {
			r.err = err
			return v
		}
	}
	v, err := filters.LookupFact(ctx, e.s, name)
	if err != nil && !errors.Is(err, filters.ErrNoFact) {
		r.err = err
	}
	return v
}

// free takes a fact's value as what it is.
func (r *reading) free(v any) {
	switch v := v.(type) {
	case nil:
	case string:
		r.put(value{text: cut(v, maxText), kind: Text})
	case bool:
		r.flag(v)
	case int:
		r.number(float64(v))
	case int64:
		r.number(float64(v))
	case uint64:
		r.number(float64(v))
	case float64:
		r.number(v)
	case time.Duration:
		r.number(v.Seconds())
	case []string:
		r.list = true
		for _, s := range v[:min(len(v), maxFields)] {
			r.put(value{text: cut(s, maxText), kind: Text})
		}
	case fmt.Stringer:
		r.text(v.String(), Text)
	}
}

// show spells the values for messages.
func (r *reading) show() string {
	const most = 5
	var words []string
	for _, v := range r.values[:min(len(r.values), most)] {
		words = append(words, v.show())
	}
	if len(r.values) > most {
		words = append(words, "...")
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", ")
}

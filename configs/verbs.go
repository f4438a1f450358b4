package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/rules/strict"
)

var (
	// standardVerbs are relayed, or answered, without being asked for.
	standardVerbs = strings.Fields("HELO EHLO MAIL RCPT RSET NOOP HELP VRFY EXPN ETRN AUTH QUIT DATA BDAT")

	// unsafeVerbs would bring the upstream to read what follows in another way
	// than we do, or to take the client for someone else.
	unsafeVerbs = strings.Fields("STARTTLS XCLIENT XFORWARD XEXCH50 BURL PROXY")

	// unsafeKeywords offer such verbs to the client.
	unsafeKeywords = strings.Fields("STARTTLS XCLIENT XFORWARD XEXCH50 BURL")
)

const (
	maxVerb    = 32  // octets; the longest in use has 8
	maxKeyword = 255 // octets
)

// Check holds the settings to the mode, routes to each other, and verbs and keywords to what can be
// relayed. It turns those to upper case.
func (l *Listener) Check(r *strict.Report) {
	l.checkMode(r)
	l.checkRoutes(r)
	for i, verb := range l.RelayVerbs {
		verb = strings.ToUpper(verb)
		l.RelayVerbs[i] = verb
		if msg, hint := verbFault(verb); msg != "" {
			r.Item("relay_verbs", i, msg, hint)
		}
	}
	for i, keyword := range l.PassKeywords {
		keyword = strings.ToUpper(keyword)
		l.PassKeywords[i] = keyword
		if msg, hint := keywordFault(keyword); msg != "" {
			r.Item("pass_keywords", i, msg, hint)
		}
	}
}

func verbFault(verb string) (msg, hint string) {
	switch {
	case slices.Contains(standardVerbs, verb):
		return verb + " is a standard verb", "leave it out: it needs no entry"
	case slices.Contains(unsafeVerbs, verb):
		return verb + " cannot be relayed", "it would change how the upstream reads what follows, or whom it sees"
	case len(verb) > maxVerb || strings.Trim(verb, upperAlnum) != "":
		return fmt.Sprintf("%q is no verb", verb), fmt.Sprintf("want up to %d letters and digits", maxVerb)
	}
	return "", ""
}

func keywordFault(keyword string) (msg, hint string) {
	switch {
	case slices.Contains(unsafeKeywords, keyword):
		return keyword + " cannot be offered", "it would change how the upstream reads what follows, or whom it sees"
	case keyword == "" || len(keyword) > maxKeyword || strings.Trim(keyword, upperAlnum+"-") != "" || keyword[0] == '-':
		return fmt.Sprintf("%q is no EHLO keyword", keyword), "want letters, digits and hyphens (RFC 5321 section 4.1.1.1)"
	}
	return "", ""
}

const upperAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

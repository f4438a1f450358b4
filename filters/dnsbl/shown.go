package dnsbl

import (
	"slices"
	"strings"
)

// masked stands for the part of a name that may be a key.
const masked = "***"

// shownName returns what a zone is called where others may read it, and the
// words that nobody may read.
func shownName(z Zone) (shown string, secrets []string) {
	p, name, _ := resolve(z)
	var public string
	switch {
	case z.Key != "":
		secrets = append(secrets, z.Key)
		public = strings.TrimPrefix(name, strings.ToLower(z.Key)+".")
	case p != nil && p.keyed != "" && strings.HasSuffix(name, "."+p.keyed):
		secrets = append(secrets, strings.TrimSuffix(name, "."+p.keyed))
		public = p.keyed
	default:
		public, secrets = maskKeys(name)
	}
	if z.Label != "" {
		public = printable(z.Label, maxShown)
	}
	return public, secrets
}

// maxShown is the greatest length of a name that may be shown, in octets.
const maxShown = 253

// dqs is the domain below which the names hold a key (see the documentation of
// Spamhaus, "Access and Authentication").
const dqs = ".dq.spamhaus.net"

// maskKeys hides the labels of a name that look like keys.
func maskKeys(name string) (shown string, hidden []string) {
	if front, ok := strings.CutSuffix(name, dqs); ok {
		labels := strings.Split(front, ".")
		set := labels[len(labels)-1]
		if len(labels) == 1 || len(set) >= keyLength || strings.ContainsAny(set, "0123456789") {
			return masked + dqs, labels
		}
		return masked + "." + set + dqs, labels[:len(labels)-1]
	}
	labels := strings.Split(name, ".")
	for i, label := range labels {
		if looksLikeKey(label) {
			hidden = append(hidden, label)
			labels[i] = masked
		}
	}
	labels = slices.CompactFunc(labels, func(a, b string) bool { return a == masked && b == masked })
	return strings.Join(labels, "."), hidden
}

// keyLength is from which length on a label of letters and digits is taken for
// a key.
const keyLength = 16

func looksLikeKey(label string) bool {
	return len(label) >= keyLength && strings.ContainsAny(label, "0123456789") &&
		strings.ContainsAny(label, "abcdefghijklmnopqrstuvwxyz")
}

// conceal takes a zone's secrets out of a text that others wrote.
func (z *zone) conceal(text string) string {
	for _, s := range z.secrets {
		text = replaceFold(text, s, masked)
	}
	return text
}

// replaceFold replaces a word in any case; texts and words are ASCII.
func replaceFold(text, word, by string) string {
	if word == "" || word == by {
		return text
	}
	lower, word := strings.ToLower(text), strings.ToLower(word)
	if !strings.Contains(lower, word) {
		return text
	}
	var out strings.Builder
	for {
		i := strings.Index(lower, word)
		if i < 0 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:i])
		out.WriteString(by)
		text, lower = text[i+len(word):], lower[i+len(word):]
	}
}

// printable returns a text with nothing in it but printable ASCII, cut to a
// length in octets: it may come from a stranger.
func printable(text string, most int) string {
	out := make([]byte, 0, min(len(text), most))
	for i := 0; i < len(text) && len(out) < most; i++ {
		switch c := text[i]; {
		case c == '\t' || c == '\n' || c == '\r':
			out = append(out, ' ')
		case c < ' ' || c >= 0x7f:
			out = append(out, '?')
		default:
			out = append(out, c)
		}
	}
	return strings.TrimSpace(string(out))
}

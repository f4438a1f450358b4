package rules

import (
	"maps"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/rules/strict"
)

// fieldHint says what field may be meant.
func (c *compiler) fieldHint(name string) string {
	head, _, _ := strings.Cut(name, ".")
	switch head {
	case "header", "headers":
		return "write header.NAME, such as header.Subject"
	case "fact", "facts":
		if c.p.fields.facts != nil {
			return "no filter of the chain sets that fact"
		}
		return "write fact.NAME, such as fact.dnsbl.score"
	}
	if short, ok := shorthands[name]; ok {
		return "write " + short
	}
	if hint := strict.Suggest(name, c.p.fields.names()); hint != "" {
		return hint
	}
	if near := strict.Nearest(name, slices.Sorted(maps.Keys(shorthands))); near != "" {
		return "write " + shorthands[near]
	}
	return "see mailweir filters rules for all fields"
}

// shorthands are what people write who know other mail programs.
var shorthands = map[string]string{
	"subject":       "header.Subject",
	"sender":        "from",
	"mail_from":     "from",
	"recipient":     "to",
	"rcpt":          "to",
	"rcpt_to":       "to",
	"ip":            "client",
	"client_ip":     "client",
	"address":       "client",
	"user":          "auth.user",
	"ehlo":          "helo",
	"rdns":          "client.fcrdns",
	"domain":        "from.domain or to.domain",
	"attachment":    "attachment.name or attachment.type",
	"attachments":   "attachment.name or attachment.type",
	"message_size":  "size",
	"sender_domain": "from.domain",
}

package main

import (
	"fmt"
	"strings"
)

// kindsOfRules are what a site may want of the helo, sender, recipient, client
// and all of them. %[1]d is a number of the rule's own.
var kindsOfRules = []string{
	`{from.domain: [spam%[1]d.example, .junk%[1]d.example], to.domain: test.example}`,
	`{from: boss%[1]d@test.example}`,
	`{to: gone%[1]d@client.test.example}`,
	`{to.local: [list%[1]d, list%[1]d-owner], from: ""}`,
	`{client: "2001:db8:%[1]d::/48", to.domain: client.test.example}`,
	`{client: 203.0.113.%[1]d/32}`,
	`{helo: [host%[1]d.bad.example, .pool%[1]d.example]}`,
	`{helo: {matches: '(?i)^(dyn|ppp)%[1]d-[0-9]+\.'}}`,
	`{from.domain: {in: freemail}, recipients: {above: %[1]d}}`,
	`{dnsbl.score: {above: %[1]d}, to.local: {contains: "sales%[1]d"}}`,
}

// plausibleRules returns a rule file with n rules, none of which matches.
func plausibleRules(n int) string {
	var b strings.Builder
	b.WriteString("lists:\n  freemail: {domains: [.freemail.example, mail.example]}\n  partners: {addresses: [198.51.100.0/24]}\nrules:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: rule_%[1]d\n    match: "+kindsOfRules[i%len(kindsOfRules)]+"\n", i+1)
		if i%2 == 0 {
			b.WriteString("    unless: {client: {in: partners}}\n")
		}
		b.WriteString("    then: reject\n")
	}
	return b.String()
}

// contentRule is a rule that has all parts of a message read, to the last line.
const contentRule = `  - name: program
    match: {attachment.name: {matches: '(?i)\.(exe|scr|com|bat|cmd|js|vbs|hta|lnk|iso|img)$'}}
    then: reject
  - name: lure
    match: {body: {matches: '(?i)\b(lottery|inheritance)\b'}}
    then: reject
`

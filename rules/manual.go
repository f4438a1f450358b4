package rules

import (
	"fmt"
	"slices"
	"strings"
)

const doc = `Asks the rules of a file that administrators write.

Example:

    - rules: {file: inbound.yaml}

and inbound.yaml:

    lists:
      partners: {addresses: [198.51.100.0/24]}
      freemail: {domains: [.freemail.example]}
    rules:
      - name: no_freemail_from_pools
        doc: Freemail does not come from home lines.
        match: {from.domain: {in: freemail}, client.fcrdns: ""}
        unless: {client: {in: partners}, auth.user: {exists: true}}
        then: {reject: "No mail from {from.domain} by {client}"}
    tests:
      - name: a pool
        from: a@freemail.example
        want: {rcpt: {verdict: reject, reason: no_freemail_from_pools}}

All that is wrong with a file is told at once. mailweir test plays its tests.

A rule has a name, which is its reason in logs and counters, and matches when
all of match hold, none of unless does, and the expression under when is true.
Each may be left out; a rule without them matches always. It is asked at the
earliest stage at which all is known that it mentions, in its texts too, or at
the later stage that at names (the client's names and other facts: at rcpt, so
that nobody waits for the DNS, unless at says earlier): connect, helo, mail, rcpt, data, eoh (the header
section is complete) or eom (the message is). At a stage the rules are asked in
the order of the file. The first that matches and has a verdict ends that. A rule
without a verdict lets the next be asked, and so does one with continue: true:
then the gravest verdict counts, the first of equal ones (hangup, reject,
tempfail, discard, quarantine, accept). With action: ignore nothing that a rule
says is done: it is logged and counted what it would have been.

A field must be one of these:

    value              it is that
    [value, value]     it is one of them
    {is: value}        the same, beside others of these
    {not: value}       it is not that, or none of a list
    {in: LIST}         it is in a list of the file
    {matches: RE2}     some of it matches a regular expression; (?i) for any case
    {contains: text}   it contains the text
    {above: 3}         it is greater than a number, or a size such as 10MiB
    {below: 3}         it is less
    {exists: true}     it is there: a text that is not empty, a header field

Of several in one map all must hold, for the same value if the field has many.
Texts compare without regard to case. The value "" is a field that is empty or
not there. A domain example.com is that one, .example.com it and all below it; an
address user@example.com is that one, user@ that local part at any domain,
example.com and .example.com all addresses in them. IP addresses are written
alone or as networks.

A list is of one sort: addresses, domains, patterns (RE2) or words, in line or in
files (addresses_files and so on) with one entry a line. Files are read when the
policy is loaded, and again when it is reloaded.

Fields:

%s
An expression under when may use them all, as in

    when: 'facts["dnsbl.score"] > 2 && size > 10_000 && not listed(helo, "names")'

in the language of github.com/expr-lang/expr, with the operators of it but for
ranges and variables, and the functions %s. A field with several values is a list
of texts: any(header.Subject, # contains "x"). A fact that nobody has set is 0,
"" or false beside a number, text or bool. An expression has at most 200 nodes and
no loops in loops, so that none takes long. One that fails at run time is settled
by on_error, as is a fact that could not be learnt, or a message that has more
than 1000 parts: no more rules are asked then.

What a rule says under then is a word, or a map of these:

    accept            no filter is asked any more, as the chain has it
    reject            refuse for good; {code: 550, enhanced: 5.7.1, text: "..."},
                      a text alone, or true
    tempfail          refuse for now, the same with 4xx
    hangup            refuse with 421 or 521, and close the connection
    discard           acknowledge the message and drop it, for all its recipients
    quarantine        let it pass, set aside
    ignore            ask no more rules: of the session at connect and helo, for
                      this recipient at rcpt, else of the transaction; in a set
                      chosen by recipient, none of that set
    add_header        {name: X-A, value: "..."} or a list of them: at the end
    replace_header    the same: in place of all of that name
    remove_header     a name or a list: all of that name
    tag               a word or a list, for the field tags
    score             a number to add to the field score, once in a transaction
    delay             let the client wait, up to 30s; once at each stage, the
                      longest of those that match
    redirect          an address, in place of all recipients; the first counts
    add_recipient     an address or a list, besides the recipients

Tags and scores of connect and helo are those of all the session's transactions,
others of one. A rule that asks for them is asked no earlier than those in front
of it that give them. Edits, discard and quarantine concern a message for all its
recipients: rules about a recipient that say so are asked at data.

In texts {field} stands for what a field is; {{ and }} for braces. What comes from
outside is cut at 200 characters, and what is not printable ASCII becomes "?".

Sets are rules for some recipients, listeners, or both:

    sets:
      school:
        recipients: [.school.example, head@example.com]
        listeners: [mx]
        rules: [...]

They are asked after those under rules. A set without recipients is asked in all
sessions of its listeners. Of the others a recipient is of one, the first in the
file that takes it, and is asked about by its rules at rcpt. Rules of a set about
the message, at data and later, are asked if any of its recipients is of the set.
So that one verdict can serve them all, a recipient whose set has such rules does
not go with recipients of another, or of none: it gets 452 4.5.3, and the client
sends another transaction (RFC 5321 section 4.5.3.1.10). With mix: true at the
top they go together; of the verdicts of several sets the gravest counts.

Reasons:

    NAME           of the rule that matched
    other_policy   452 4.5.3: see sets
`

// manual is the doc with the table of fields in it.
func manual() string {
	var table strings.Builder
	for _, f := range Fields() {
		fmt.Fprintf(&table, "    %-16s %-8v %-8v %s\n", f.Name, f.Type, f.Stage, f.Doc)
	}
	return fmt.Sprintf(doc, table.String(), strings.Join(append(slices.Clip(functions), listed), ", "))
}

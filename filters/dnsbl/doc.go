package dnsbl

import (
	"fmt"
	"strings"
)

const docHead = `Asks DNS lists (DNSBL, RHSBL, and allow lists) about clients, and refuses by score.

A list is asked in the DNS (RFC 5782) about the client's address, the domain of
its HELO name, or the domain of the sender. Each answer has a weight; weights
add up, those of allow lists are negative, and a client whose score reaches the
threshold is refused. All lists are asked at once when the client connects;
the session goes on meanwhile, and waits only at the stage that settles (at),
never longer than the entry's timeout since the look-ups began, and no longer
than until the outcome is certain. A list that does not answer in time counts
nothing. What the resolver knows already takes no time.

Example:

    - dnsbl:
        zones:
          - zen                                   # a preset
          - {preset: dbl, check: [sender]}
          - dnswl
          - {zone: bl.example.com, weight: 2}     # a list of your own
        threshold: 4
      action: ignore

Observe first. An entry that spells no action is ignore: what it would have
refused is logged and counted, with what each list had to say. Look at a week of
that, above all at names you know, then write action: enforce.

Choosing lists. One list of high quality and an allow list do more good than
ten lists. Weigh a list 4 (the threshold) only if you would refuse by it alone;
2 or 3 where it takes another list to agree. Ask lists of end users' networks
(zen has one, PBL) only about clients that bring mail from outside: on a
listener where people submit mail use no list. Clients that have logged in are
not refused.

Use a resolver of your own. Spamhaus, DNSWL, SURBL, URIBL and others do not
answer questions that come by way of public resolvers such as 8.8.8.8, 1.1.1.1
or that of a big provider; they answer with error codes. Most are free only for
small sites: read their terms.

Keys. Where a list knows its customers by a key in the zone's name, write
{preset: zen, key: "..."}, or the whole name as zone. A key never shows in
replies, logs, metrics or reports: what looks like one in a zone's name (16 or
more letters and digits mixed, or what stands before .dq.spamhaus.net) is shown
as ***, and label gives a list any name you like.

A zone is the name of a preset, the name of a zone (if the table below has it,
that is the preset), or a map of the options below. With weight, a listing by a
preset counts that, once, in place of the preset's own weights. With preset and
zone, the zone is a mirror of that list.

The match of an answer is 127.0.0.2, or has in place of a number a list, as in
127.0.0.[2..11] or 127.0.0.[2;4;6..8], or * for any, or &8 for all numbers that
have the bits of 8; or it is a network, 127.0.0.0/24. Each match that an answer
hits counts once. Of a list without preset or answers, each answer in
127.0.0.0/8 that is no error is a listing.

A reply is one line with the placeholders {client}, {subject} (what is listed:
the address or domain), {zone}, {answer}, {meaning}, {text} (what the list says
in a TXT record, which is asked for then), {score}, {helo} and {sender}. Those
of the lists are of the one that counts most.

Safety. Lists die, are misspelt, change hands and refuse to answer, and mail has
been lost to each of that. Unless you turn it off:

  - Error codes are no listings: 127.255.255.0/24, 127.0.0.1, those of the
    presets, and all that is outside of 127.0.0.0/8. They are logged as a
    warning with the list and the cause, once an hour.
  - A list counts only once it has passed its self-test: that it has 127.0.0.2
    and has not 127.0.0.1; for IPv6 ::FFFF:7F00:2 and ::FFFF:7F00:1; for
    domains TEST and INVALID, or what the preset says. That is tested when
    mailweir starts and every self_test_interval.
  - Before a listing counts, the list must within the last minute have had
    neither 127.0.0.1 (::FFFF:7F00:1, INVALID) nor an address in 127.128.0.0/9
    (::FFFF:7F80:0/105, a name in EXAMPLE) that is made up each time, since a
    resolver on the way may remember the first. So one that begins to list the
    world refuses nobody.
  - A list is set aside, and no longer asked, when it fails its test, when 5
    look-ups in a row fail or time out, when 3 answers in a row are errors, or
    when it has more than max_share of the last 256 distinct clients (of at
    least 100; IPv6 clients count by their /64). It is tested again after a
    minute, then after ever longer times up to self_test_interval, and comes
    back when it passes. One that had too great a share is then asked, but
    does not count, until 100 clients show a lesser share. Each change is logged
    once. The parts of a list for IPv4, IPv6 and domains are looked at apart.
  - Lists of domains are never asked about addresses, and address literals
    never about domains.

A list that has 127.0.0.1 by design (hostkarma.junkemailfilter.com) needs
self_test: false, and answers that spell what 127.0.0.1 means if it is to count.
A server that gets hardly anything but spam may see a good list have more than
max_share of its clients: raise it, or write 0.

'mailweir dnsbl ADDRESS' shows what each list says of an address and what comes
of it; 'mailweir dnsbl --health' makes the self-tests.

Metrics:

    mailweir_dnsbl_answers_total{zone,result}  listed, clean, error, failed,
                                               timeout, skipped
    mailweir_dnsbl_zone_set_aside{zone}        1 while it is

Reasons:

    dnsbl   550 5.7.1

Presets, with what they are asked about and what their answers count:
`

// manual is the text with the table of presets.
func manual() string {
	var out strings.Builder
	out.WriteString(docHead)
	for _, p := range Presets() {
		about := make([]string, 0, len(p.Check))
		for _, c := range p.Check {
			about = append(about, string(c))
		}
		if p.IPv6 {
			about = append(about, "IPv6 too")
		}
		fmt.Fprintf(&out, "\n    %s (%s; %s)\n        %s\n", p.Name, p.Zone, strings.Join(about, ", "), p.About)
		if p.Keyed != "" && p.Keyed != p.Zone {
			fmt.Fprintf(&out, "        with a key: %s\n", p.Keyed)
		}
		for _, a := range p.Answers {
			fmt.Fprintf(&out, "        %-24s %2d  %s\n", a.Match, a.Weight, a.Meaning)
		}
	}
	return out.String()
}

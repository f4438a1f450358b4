package rules_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/rules"
)

// mixed is a policy of n rules as large sites have them: most about a sender, a
// recipient or a client, some about everything. None has an expression.
func mixed(n int) []byte {
	var b strings.Builder
	b.WriteString("lists:\n  freemail: { domains: [.freemail.example, mail.example] }\n  partners: { addresses: [198.51.100.0/24] }\nrules:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: rule_%d\n    match: {", i)
		switch i % 10 {
		case 0, 1:
			fmt.Fprintf(&b, "from.domain: [a%d.example, .b%d.example], to.domain: example.com", i, i)
		case 2, 3:
			fmt.Fprintf(&b, "to: user%d@example.com, from.domain: { in: freemail }", i)
		case 4:
			fmt.Fprintf(&b, "client: 203.0.%d.%d/32, to.domain: example.com", i/256, i%256)
		case 5:
			fmt.Fprintf(&b, "client: 10.%d.%d.0/24, to.local: [postmaster, abuse]", i/256, i%256)
		case 6:
			fmt.Fprintf(&b, "to.domain: .dept%d.example.com, size: { above: 10MiB }", i)
		case 7:
			fmt.Fprintf(&b, "from: boss%d@example.org, listener: mx, recipients: { above: 5 }", i)
		case 8:
			fmt.Fprintf(&b, "helo: { contains: dyn%d }, to.domain: { not: example.com }", i)
		case 9:
			fmt.Fprintf(&b, "from.domain: { in: freemail }, recipients: { above: %d }", i)
		}
		b.WriteString(" }\n    unless: { client: { in: partners } }\n    then: { reject: \"Not from {from.domain}\" }\n")
	}
	return []byte(b.String())
}

// alike is a policy of n rules that want much the same, and all of them at eom.
func alike(n int) []byte {
	var b strings.Builder
	b.WriteString("lists:\n  freemail: { domains: [.freemail.example, mail.example] }\nrules:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: rule_%d\n    match: { from.domain: { in: freemail }, body: { contains: x }, header.X-A: a%d }\n    unless: { auth.user: { exists: true } }\n    when: size > %d && to.domain == [\"example.com\"]\n    then: reject\n", i, i, i)
	}
	return []byte(b.String())
}

// unfiled is a policy in which every rule must be tested.
func unfiled(n int) []byte {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: rule_%d\n    match: { to.local: { contains: xy%d } }\n    then: reject\n", i, i)
	}
	return []byte(b.String())
}

// perDomain is a policy of n sets with ten rules each.
func perDomain(n int) []byte {
	var b strings.Builder
	b.WriteString("sets:\n")
	for i := range n {
		fmt.Fprintf(&b, "  set_%d:\n    recipients: [.d%d.example]\n    rules:\n", i, i)
		for j := range 10 {
			fmt.Fprintf(&b, "      - name: rule_%d_%d\n        match: { from.domain: s%d.example }\n        then: reject\n", i, j, i*10+j)
		}
	}
	return []byte(b.String())
}

func parse(t testing.TB, data []byte) *rules.Policy {
	t.Helper()
	p, err := rules.Parse(rules.Options{}, "speed.yaml", ".", data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// twenty is a transaction with the paths of its recipients.
func twenty(t testing.TB) (*filters.Transaction, []*filters.Path) {
	t.Helper()
	s := filtertest.Session("192.0.2.1")
	s.Helo = "mail.client.example"
	s.Begin(context.Background())
	tx := &filters.Transaction{Session: s, Number: 1, From: filtertest.Path("Sender@sub.Sender.example")}
	tx.Begin(context.Background())
	t.Cleanup(func() { tx.End(); s.End() })
	var to []*filters.Path
	for i := range 20 {
		to = append(to, filtertest.Path(fmt.Sprintf("User.%d@d%d.example", i, i)))
	}
	return tx, to
}

var policies = []struct {
	name string
	data []byte
}{
	{"mixed", mixed(1000)}, {"unfiled", unfiled(1000)}, {"alike", alike(1000)}, {"sets", perDomain(100)},
}

func BenchmarkCompile(b *testing.B) {
	for _, p := range policies {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parse(b, p.data)
			}
		})
	}
}

func BenchmarkRcpt(b *testing.B) {
	for _, p := range policies {
		b.Run(p.name, func(b *testing.B) {
			policy := parse(b, p.data)
			tx, to := twenty(b)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				tx.Rcpts = to[:i%20]
				if v := policy.Rcpt(context.Background(), tx, to[i%20]); v.Action != filters.Continue {
					b.Fatal(v)
				}
			}
		})
	}
}

// TestRcptDoesNotAllocate holds the evaluation to be free while nothing is
// found.
func TestRcptDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools forget at random")
	}
	for _, p := range policies {
		policy := parse(t, p.data)
		tx, to := twenty(t)
		i := 0
		n := testing.AllocsPerRun(200, func() {
			tx.Rcpts = to[:i%20]
			policy.Rcpt(context.Background(), tx, to[i%20])
			i++
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for a recipient", p.name, n)
		}
	}
}

func TestCompileTakesLessThanASecond(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector slows it down")
	}
	for _, p := range policies {
		began := time.Now()
		parse(t, p.data)
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: 1000 rules took %v to compile", p.name, took)
		}
	}
}

// TestMixedFinds holds the rules of the benchmark to find something.
func TestMixedFinds(t *testing.T) {
	policy := parse(t, policies[0].data)
	tx, _ := twenty(t)
	tx.From = filtertest.Path("x@a990.example")
	v := policy.Rcpt(context.Background(), tx, filtertest.Path("y@example.com"))
	if got := filtertest.Show(v); got != "550 5.7.1 rule_990" {
		t.Error(got)
	}
}

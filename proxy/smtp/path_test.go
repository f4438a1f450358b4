package smtp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

const postmaster = "<postmaster>"

func TestParseMail(t *testing.T) {
	label := strings.Repeat("l", 63)
	domain := strings.Repeat("abcdefgh.", 28) + "com" // 255
	wide := strings.Repeat("ü", 50) + ".example"
	for _, c := range []struct {
		args                       string
		local, domain, raw, params string
	}{
		{"FROM:<>", "", "", "<>", ""},
		{"from:<>", "", "", "<>", ""},
		{"FROM:   <a@b>", "a", "b", "<a@b>", ""},
		{"FROM:<> SIZE=1", "", "", "<>", "SIZE=1"},
		{"FROM:<postmaster>", "postmaster", "", postmaster, ""},
		{"FROM:<a@b>", "a", "b", "<a@b>", ""},
		{"FROM:<A.b+c=d@Example.ORG>", "A.b+c=d", "Example.ORG", "<A.b+c=d@Example.ORG>", ""},
		{"FROM:<.a..b.@x_y.z>", ".a..b.", "x_y.z", "<.a..b.@x_y.z>", ""},
		{"FROM:<!#$%&'*+-/=?^_`{|}~@b>", "!#$%&'*+-/=?^_`{|}~", "b", "<!#$%&'*+-/=?^_`{|}~@b>", ""},
		{`FROM:<"">`, "", "", `<"">`, ""},
		{`FROM:<""@b>`, "", "b", `<""@b>`, ""},
		{`FROM:<"a b"@c>`, "a b", "c", `<"a b"@c>`, ""},
		{`FROM:<"a@b>c"@d> X`, "a@b>c", "d", `<"a@b>c"@d>`, "X"},
		{`FROM:<"a<b,:;()"@d>`, "a<b,:;()", "d", `<"a<b,:;()"@d>`, ""},
		{`FROM:<"a\"b\\\ c"@d>`, `a"b\ c`, "d", `<"a\"b\\\ c"@d>`, ""},
		{"FROM:<a@[192.0.2.1]>", "a", "[192.0.2.1]", "<a@[192.0.2.1]>", ""},
		{"FROM:<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]", "<a@[IPv6:2001:db8::1]>", ""},
		{"FROM:<a@[ipv6:::ffff:1.2.3.4]>", "a", "[ipv6:::ffff:1.2.3.4]", "<a@[ipv6:::ffff:1.2.3.4]>", ""},
		{"FROM:<@r:a@b>", "a", "b", "<a@b>", ""},
		{`FROM:<@r.x,@s:"a:b"@c> P=q`, "a:b", "c", `<"a:b"@c>`, "P=q"},
		{"FROM:<@r:postmaster>", "postmaster", "", postmaster, ""},
		{"FROM:<a@" + label + ".x>", "a", label + ".x", "<a@" + label + ".x>", ""},
		{"FROM:<a@" + domain + ">", "a", domain, "<a@" + domain + ">", ""},
		{"FROM:<ü@" + wide + "> SMTPUTF8", "ü", wide, "<ü@" + wide + ">", "SMTPUTF8"},
		{`FROM:<"ü x"@b> smtputf8 BODY=8BITMIME`, "ü x", "b", `<"ü x"@b>`, "smtputf8 BODY=8BITMIME"},
		{"FROM:<a@b>   SIZE=1 BODY=8BITMIME  ", "a", "b", "<a@b>", "SIZE=1 BODY=8BITMIME"},
		{"FROM:<a@b> AUTH=<> X-y=a=b ENVID=+2B", "a", "b", "<a@b>", "AUTH=<> X-y=a=b ENVID=+2B"},
		{"FROM:<a@b> 8=8", "a", "b", "<a@b>", "8=8"},
		{"FROM:<a@b> SMTPUTF8 ENVID=ü", "a", "b", "<a@b>", "SMTPUTF8 ENVID=ü"},
	} {
		want := filters.Path{Local: c.local, Domain: c.domain, Params: c.params, Raw: c.raw}
		got := filters.Path{Local: "old", Domain: "old", Params: "old", Raw: "old"}
		var a smtp.Arena
		if err := smtp.ParseMail([]byte(c.args), &got, &a); err != nil || got != want {
			t.Errorf("%q: %v\n got %+v\nwant %+v", c.args, err, got, want)
		}
		if got.Null() != (c.raw == "<>") {
			t.Errorf("%q: Null is %v", c.args, got.Null())
		}
	}
}

func TestParseMailRefuses(t *testing.T) {
	for _, c := range []struct {
		args string
		want smtp.Fault
	}{
		{"", smtp.BadSyntax},
		{"FROM:", smtp.BadSyntax},
		{"FROM", smtp.BadSyntax},
		{"FROM :<a@b>", smtp.BadSyntax},
		{"FROM:a@b", smtp.BadSyntax},
		{"FROM:\t<a@b>", smtp.BadSyntax},
		{"TO:<a@b>", smtp.BadSyntax},
		{"FROM:a <a@b>", smtp.BadSyntax},
		{"FROM:<", smtp.BadAddress},
		{"FROM:<a@b", smtp.BadAddress},
		{"FROM:<a@b>>", smtp.BadAddress},
		{"FROM:<<a@b>>", smtp.BadAddress},
		{"FROM:<a@b>X=y", smtp.BadAddress},
		{"FROM:<a@b>\tX=y", smtp.BadAddress},
		{"FROM:< a@b>", smtp.BadAddress},
		{"FROM:<a@b >", smtp.BadAddress},
		{"FROM:< >", smtp.BadAddress},
		{"FROM:<@>", smtp.BadAddress},
		{"FROM:<@b>", smtp.BadAddress},
		{"FROM:<a@>", smtp.BadAddress},
		{"FROM:<a@b@c>", smtp.BadAddress},
		{"FROM:<a b@c>", smtp.BadAddress},
		{"FROM:<a\x01@b>", smtp.BadAddress},
		{"FROM:<a\rb@c>", smtp.BadAddress},
		{"FROM:<a@b\nc>", smtp.BadAddress},
		{"FROM:<\"a\x00\"@b>", smtp.BadAddress},
		{"FROM:<\"a\\\r\"@b>", smtp.BadAddress},
		{"FROM:<\"a\x7f\"@b>", smtp.BadAddress},
		{"FROM:<\"a\t\"@b>", smtp.BadAddress},
		{`FROM:<"a@b>`, smtp.BadAddress},
		{`FROM:<"a\"@b>`, smtp.BadAddress},
		{`FROM:<"a"b@c>`, smtp.BadAddress},
		{`FROM:<a"b"@c>`, smtp.BadAddress},
		{`FROM:<"a"."b"@c>`, smtp.BadAddress},
		{"FROM:<(c)a@b>", smtp.BadAddress},
		{"FROM:<a@b.>", smtp.BadAddress},
		{"FROM:<a@.b>", smtp.BadAddress},
		{"FROM:<a@b..c>", smtp.BadAddress},
		{"FROM:<a@b/c>", smtp.BadAddress},
		{"FROM:<a@" + strings.Repeat("l", 64) + ".x>", smtp.BadAddress},
		{"FROM:<a@x." + strings.Repeat("l", 64) + ">", smtp.BadAddress},
		{"FROM:<a@" + strings.Repeat("abcdefgh.", 28) + "come>", smtp.BadAddress},
		{"FROM:<a@[]>", smtp.BadAddress},
		{"FROM:<a@[>", smtp.BadAddress},
		{"FROM:<a@[1.2.3]>", smtp.BadAddress},
		{"FROM:<a@[1.2.3.4>", smtp.BadAddress},
		{"FROM:<a@[1.2.3.4].x>", smtp.BadAddress},
		{"FROM:<a@[2001:db8::1]>", smtp.BadAddress},
		{"FROM:<a@[IPv6:1.2.3.4]>", smtp.BadAddress},
		{"FROM:<a@[IPv6:fe80::1%eth0]>", smtp.BadAddress},
		{"FROM:<a@[IPv6:]>", smtp.BadAddress},
		{"FROM:<@r>", smtp.BadAddress},
		{"FROM:<@r:>", smtp.BadAddress},
		{"FROM:<@r,s:a@b>", smtp.BadAddress},
		{"FROM:<@r,:a@b>", smtp.BadAddress},
		{"FROM:<@r:@s:a@b>", smtp.BadAddress},
		{"FROM:<\xff@b> SMTPUTF8", smtp.BadAddress},
		{"FROM:<a@\xc3> SMTPUTF8", smtp.BadAddress},
		{"FROM:<ü@b>", smtp.NeedUTF8},
		{"FROM:<a@ü>", smtp.NeedUTF8},
		{"FROM:<a@b> ENVID=ü", smtp.NeedUTF8},
		{"FROM:<a@b> SMTPUTF8 ENVID=\xff", smtp.BadParams},
		{"FROM:<a@b> SIZE=", smtp.BadParams},
		{"FROM:<a@b> =1", smtp.BadParams},
		{"FROM:<a@b> -X", smtp.BadParams},
		{"FROM:<a@b> X_Y", smtp.BadParams},
		{"FROM:<a@b> ſIZE=1", smtp.BadParams},
		{"FROM:<a@b> SIZE=1\tBODY=7BIT", smtp.BadParams},
		{"FROM:<a@b> SIZE=1\x00", smtp.BadParams},
		{"FROM:<a@b> SIZE=1\r", smtp.BadParams},
		{"FROM:<a@b> SIZE=1 size=2", smtp.BadParams},
		{"FROM:<a@b> X A=1 x", smtp.BadParams},
		{"FROM:<a@b> <c@d>", smtp.BadParams},
		{"FROM:<a@b> " + manyParams(33), smtp.BadParams},
	} {
		var p filters.Path
		var a smtp.Arena
		if err := smtp.ParseMail([]byte(c.args), &p, &a); err != c.want {
			t.Errorf("%q: %v, want %v", c.args, err, c.want)
		}
	}
}

func manyParams(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " P%d=1", i)
	}
	return b.String()[1:]
}

func TestParseRcpt(t *testing.T) {
	for _, c := range []struct {
		args string
		utf8 bool
		want error
		raw  string
	}{
		{"TO:<a@b>", false, nil, "<a@b>"},
		{"to:<a@b> NOTIFY=NEVER", false, nil, "<a@b>"},
		{"TO:<Postmaster>", false, nil, "<Postmaster>"},
		{"TO:<@x,@y:a@b>", false, nil, "<a@b>"},
		{"TO:<ü@b>", true, nil, "<ü@b>"},
		{"TO:<ü@b>", false, smtp.NeedUTF8, ""},
		{"TO:<a@b> ORCPT=utf-8;ü", true, nil, "<a@b>"},
		{"TO:<a@b> ORCPT=utf-8;ü", false, smtp.NeedUTF8, ""},
		{"TO:<ü@b> SMTPUTF8", false, smtp.NeedUTF8, ""},
		{"TO:<>", false, smtp.BadAddress, ""},
		{"FROM:<a@b>", false, smtp.BadSyntax, ""},
	} {
		var p filters.Path
		var a smtp.Arena
		err := smtp.ParseRcpt([]byte(c.args), c.utf8, &p, &a)
		if err != c.want || err == nil && p.Raw != c.raw {
			t.Errorf("%q: %v %q", c.args, err, p.Raw)
		}
	}
}

// A path that could not be read must not be taken for the one before.
func TestRefusedPathIsNotTheLastOne(t *testing.T) {
	for _, args := range []string{"", "TO:", "TO:<", "TO:<a@b>x", "TO:<a b>"} {
		p := filters.Path{Local: "old", Raw: "<old>"}
		var a smtp.Arena
		if err := smtp.ParseRcpt([]byte(args), false, &p, &a); err == nil || p.Raw == "<old>" || p.Local == "old" {
			t.Errorf("%q: %v %+v", args, err, p)
		}
	}
}

func TestParsedPathsAreKept(t *testing.T) {
	const n = 5000
	var a smtp.Arena
	kept := make([]filters.Path, n)
	line := make([]byte, 0, 700)
	want := func(i int) (local, domain, params string) {
		return strings.Repeat("u", i%600) + fmt.Sprint(i), fmt.Sprintf("d%d.example", i), fmt.Sprintf("X=%d", i)
	}
	for i := range kept {
		local, domain, params := want(i)
		line = fmt.Appendf(line[:0], "TO:<%s@%s> %s", local, domain, params)
		if err := smtp.ParseRcpt(line, false, &kept[i], &a); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range kept {
		local, domain, params := want(i)
		if p.Local != local || p.Domain != domain || p.Params != params || p.Raw != "<"+local+"@"+domain+">" {
			t.Fatalf("path %d has become %+v", i, p)
		}
	}
}

func TestArena(t *testing.T) {
	var a smtp.Arena
	if s := a.String(nil); s != "" {
		t.Errorf("%q", s)
	}
	for _, n := range []int{1, 511, 512, 513, 5000, 3} {
		if s := a.String([]byte(strings.Repeat("z", n))); s != strings.Repeat("z", n) {
			t.Errorf("%d octets became %q", n, s)
		}
	}
}

func TestPathsDoNotAllocate(t *testing.T) {
	var a smtp.Arena
	var p filters.Path
	for _, args := range []string{"TO:<user@example.org>", `TO:<"a b"@example.org> NOTIFY=NEVER`, "TO:<@r:a@b>"} {
		line := []byte(args)
		if n := testing.AllocsPerRun(1000, func() {
			if err := smtp.ParseRcpt(line, false, &p, &a); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", args, n)
		}
	}
}

package certs_test

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/certs"
)

var update = flag.Bool("update", false, "write what is accepted into the docs")

const (
	docs      = "../../cmd/mailweir/docs/tls.md"
	docsBegin = "<!-- tls:begin -->\n"
	docsEnd   = "<!-- tls:end -->\n"
)

// TestDocs holds the docs to say what is accepted and what is refused: each
// figure there is tried.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(text, []byte(docsBegin))
	old, after, ok2 := bytes.Cut(rest, []byte(docsEnd))
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks %q and %q", docs, docsBegin, docsEnd)
	}
	tried := newTable(t)
	table := tried.print()
	tried.offers()
	if *update {
		write(t, docs, join(before, []byte(docsBegin), []byte(table), []byte(docsEnd), after), 0o644)
		return
	}
	if diff := cmp.Diff(string(old), table); diff != "" {
		t.Errorf("%s is not true (-docs +tried); go test ./proxy/certs -update writes it anew:\n%s", docs, diff)
	}
}

// table tries listeners with keys of either kind.
type table struct {
	t               *testing.T
	shelf           *certs.Shelf
	pairs           map[string]certs.Pair // by kind of key
	ciphers, curves []uint16              // that were accepted
}

func newTable(t *testing.T) *table {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	shelf, _ := newShelf(t)
	return &table{t: t, shelf: shelf, pairs: map[string]certs.Pair{
		"RSA":   ca.issue(t, leaf{cn: "rsa", key: rsaKey()}).files(t, dir, "rsa"),
		"ECDSA": ca.issue(t, leaf{cn: "ecdsa"}).files(t, dir, "ecdsa"),
	}}
}

func (x *table) server(key string, least uint16) *tls.Config {
	return newServer(x.t, x.shelf, certs.Server{Certificates: []certs.Pair{x.pairs[key]}, MinVersion: least}).Config()
}

func (x *table) print() string {
	var b strings.Builder
	x.versions(&b)
	x.suites(&b)
	x.groups(&b)
	return b.String()
}

func word(accepted bool) string {
	if accepted {
		return "accepted"
	}
	return "refused"
}

func (x *table) versions(b *strings.Builder) {
	fmt.Fprintf(b, "| protocol | `min_version: \"1.0\"` | `\"1.1\"` | `\"1.2\"`, the default | `\"1.3\"` |\n| --- | --- | --- | --- | --- |\n")
	for _, row := range []struct {
		name  string
		first []byte
	}{
		{"SSLv2", ssl2},
		{"SSLv3", hello{version: ssl3}.octets()},
		{"TLS 1.0", hello{version: tls.VersionTLS10}.octets()},
		{"TLS 1.1", hello{version: tls.VersionTLS11}.octets()},
		{"TLS 1.2", hello{version: tls.VersionTLS12}.octets()},
		{"TLS 1.3", hello{version: tls.VersionTLS13}.octets()},
	} {
		fmt.Fprintf(b, "| %s |", row.name)
		for _, least := range []uint16{tls.VersionTLS10, tls.VersionTLS11, 0, tls.VersionTLS13} {
			fmt.Fprintf(b, " %s |", word(answers(x.server("RSA", least), row.first)))
		}
		b.WriteString("\n")
	}
}

// numbers are all that a cipher suite or a group can have.
var numbers = func() (all []uint16) {
	for n := range 1 << 16 {
		if n != fallbackSCSV {
			all = append(all, uint16(n))
		}
	}
	return all
}()

// fallbackSCSV is no cipher suite: it tells of a client that could do better
// (RFC 7507).
const fallbackSCSV = 0x5600

var versions = []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}

func (x *table) suites(b *strings.Builder) {
	found := map[uint16]map[string]bool{} // by suite: version and key
	for _, key := range []string{"RSA", "ECDSA"} {
		server := x.server(key, tls.VersionTLS10)
		for _, version := range versions {
			for _, id := range accepted(numbers, func(ids []uint16) bool {
				return answers(server, hello{version: version, suites: ids}.octets())
			}) {
				if found[id] == nil {
					found[id] = map[string]bool{}
				}
				found[id][tls.VersionName(version)+key] = true
			}
		}
	}
	fmt.Fprintf(b, "\n| cipher suite | key | TLS 1.0 | TLS 1.1 | TLS 1.2 | TLS 1.3 |\n| --- | --- | --- | --- | --- | --- |\n")
	ids := slices.Sorted(maps.Keys(found))
	for _, id := range ids {
		for _, key := range []string{"RSA", "ECDSA"} {
			row := ""
			for _, version := range versions {
				row += fmt.Sprintf(" %s |", word(found[id][tls.VersionName(version)+key]))
			}
			if strings.Contains(row, "accepted") {
				fmt.Fprintf(b, "| `%s` | %s |%s\n", tls.CipherSuiteName(id), key, row)
			}
		}
	}
	x.refused(b, ids)
	x.ciphers = ids
}

// refused tells what is not among the suites that are accepted.
func (x *table) refused(b *strings.Builder, ids []uint16) {
	fmt.Fprintf(b, "\n| kind of cipher suite | such as | |\n| --- | --- | --- |\n")
	for _, row := range []struct {
		kind, name string
		all        []uint16
	}{
		{"without encryption", "TLS_RSA_WITH_NULL_SHA256", []uint16{0x0000, 0x0001, 0x0002, 0x003b, 0xc006, 0xc010}},
		{"for export", "TLS_RSA_EXPORT_WITH_RC4_40_MD5", []uint16{0x0003, 0x0006, 0x0008, 0x000b, 0x000e, 0x0011, 0x0014, 0x0017, 0x0019}},
		{"without certificate", "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", []uint16{0x0018, 0x001b, 0x0034, 0x003a, 0xc015, 0xc018, 0xc019}},
		{"RC4", "TLS_ECDHE_RSA_WITH_RC4_128_SHA", []uint16{0x0004, 0x0005, 0x0018, 0xc002, 0xc007, 0xc00c, 0xc011}},
		{"DES and 3DES", "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", []uint16{0x0009, 0x000a, 0x0015, 0x0016, 0xc003, 0xc008, 0xc00d, 0xc012}},
		{"key exchange by RSA: without forward secrecy", "TLS_RSA_WITH_AES_128_GCM_SHA256", []uint16{0x002f, 0x0035, 0x003c, 0x003d, 0x009c, 0x009d, 0xc09c, 0xc09d}},
		{"static Diffie-Hellman: likewise", "TLS_DH_RSA_WITH_AES_128_CBC_SHA", []uint16{0x0030, 0x0031, 0x0036, 0x0037, 0x00a0, 0x00a4, 0xc004, 0xc005, 0xc00e, 0xc00f, 0xc02d, 0xc031}},
		{"Diffie-Hellman over finite fields", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", []uint16{0x0032, 0x0033, 0x0038, 0x0039, 0x0067, 0x006b, 0x009e, 0x009f, 0xccaa}},
		{"CBC with SHA-256 or SHA-384", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", []uint16{0xc023, 0xc024, 0xc027, 0xc028}},
		{"shared keys", "TLS_PSK_WITH_AES_128_GCM_SHA256", []uint16{0x008c, 0x008d, 0x00a8, 0x00a9, 0xc035, 0xccab}},
	} {
		any := slices.ContainsFunc(row.all, func(id uint16) bool { return slices.Contains(ids, id) })
		fmt.Fprintf(b, "| %s | `%s` | %s |\n", row.kind, row.name, word(any))
	}
}

func (x *table) groups(b *strings.Builder) {
	found := map[uint16]map[uint16]bool{}
	server := x.server("RSA", 0)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, id := range accepted(numbers, func(ids []uint16) bool {
			return answers(server, hello{version: version, groups: ids}.octets())
		}) {
			if found[id] == nil {
				found[id] = map[uint16]bool{}
			}
			found[id][version] = true
		}
	}
	fmt.Fprintf(b, "\n| key exchange | TLS 1.2 | TLS 1.3 |\n| --- | --- | --- |\n")
	x.curves = slices.Sorted(maps.Keys(found))
	for _, id := range x.curves {
		fmt.Fprintf(b, "| %s | %s | %s |\n", strings.Replace(tls.CurveID(id).String(), "CurveP", "P-", 1),
			word(found[id][tls.VersionTLS12]), word(found[id][tls.VersionTLS13]))
	}
}

// offers holds that upstreams are offered what is accepted from clients.
func (x *table) offers() {
	server := x.server("RSA", tls.VersionTLS10).Clone()
	var ciphers, curves []uint16
	server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		ciphers = slices.Sorted(slices.Values(hello.CipherSuites))
		for _, curve := range hello.SupportedCurves {
			curves = append(curves, uint16(curve))
		}
		slices.Sort(curves)
		return nil, nil
	}
	handshake(server, newClient(x.t, x.shelf, certs.Client{MinVersion: tls.VersionTLS10}).Config("mx"))
	if !slices.Equal(ciphers, x.ciphers) || !slices.Equal(curves, x.curves) {
		x.t.Errorf("upstreams are offered %x, %x; accepted from clients are %x, %x", ciphers, curves, x.ciphers, x.curves)
	}
}

package rules

import (
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// Type is what the values of a field are, and so what they may be compared with.
type Type uint8

// The types of fields.
const (
	Text    Type = iota // compared without regard to case
	Domain              // a domain name: .example.com stands for it and all below
	Mailbox             // an address, or a domain for all addresses in it
	Address             // an IP address, or a network
	Number              // a number
	Size                // octets, such as 10MiB
	Bool                // true or false
	Free                // what a filter has set: text, number, bool, or a list of texts
)

var typeNames = [...]string{"text", "domain", "mailbox", "address", "number", "size", "bool", "any"}

// String returns the type's name, as the manual has it.
func (t Type) String() string { return typeNames[t] }

// numeric reports whether values of the type are amounts.
func (t Type) numeric() bool { return t == Number || t == Size }

// Field is something that rules may mention.
type Field struct {
	Name  string        // as rules spell it; one that ends in .NAME stands for many
	Type  Type          // of its values
	Stage filters.Stage // from which on it is known
	Many  bool          // it may have several values: one that fits is enough
	Doc   string        // what it is

	read func(e *evaluation, name string, r *reading)
}

// family returns what stands in front of NAME, "" for a field of its own.
func (f *Field) family() string {
	prefix, ok := strings.CutSuffix(f.Name, "NAME")
	if !ok {
		return ""
	}
	return prefix
}

// Fields returns all fields there are, in the order of the manual.
func Fields() []Field {
	return []Field{
		{"client", Address, filters.Connect, false, "the client's address", readClient},
		{"client.port", Number, filters.Connect, false, "the port it came from", readClientPort},
		{"client.name", Domain, filters.Connect, false, "its name in the DNS, as rdns or the MTA found it; empty for none", readClientName},
		{"client.fcrdns", Domain, filters.Connect, false, "that name if it leads back to the client, as rdns or the MTA found it; empty for none", readConfirmed},
		{"via", Address, filters.Connect, false, "the address of the proxy that told who the client is, by PROXY or XCLIENT; empty for none", readVia},
		{"local", Address, filters.Connect, false, "the address it connected to", readLocal},
		{"local.port", Number, filters.Connect, false, "the port it connected to", readLocalPort},
		{"listener", Text, filters.Connect, false, "the name of the listener", readListener},
		{"hostname", Domain, filters.Connect, false, "our own name", readHostname},
		{"daemon", Text, filters.Connect, false, "the MTA's name of its service, where it asks by milter", readDaemon},
		{"helo", Domain, filters.Helo, false, "the argument of HELO or EHLO", readHelo},
		{"esmtp", Bool, filters.Helo, false, "whether the client said EHLO", readESMTP},
		{"tls", Bool, filters.Helo, false, "whether the client's connection is encrypted, here or at the proxy or MTA that tells of it", readTLS},
		{"tls.version", Text, filters.Helo, false, "such as TLSv1.3", readTLSVersion},
		{"tls.cipher", Text, filters.Helo, false, "as the MTA spells it, or in a relay as IANA does", readTLSCipher},
		{"tls.server_name", Domain, filters.Helo, false, "the name that the client asked for (SNI); empty for none, and where an MTA asks by milter", readServerName},
		{"tls.client", Text, filters.Helo, false, "the common name in the client's certificate; empty if it has shown none, and where an MTA asks by milter", readTLSClient},
		{"tls.fingerprint", Text, filters.Helo, false, "SHA-256 of the client's certificate, 64 hex digits in lower case", readFingerprint},
		{"tls.verified", Bool, filters.Helo, false, "whether the client's certificate is signed by an authority of client_ca", readVerified},
		{"auth.user", Text, filters.Mail, false, "who the client has logged in as; empty for nobody, or if the mechanism does not show it", readAuthUser},
		{"auth.type", Text, filters.Mail, false, "the mechanism by which it logged in", readAuthType},
		{"from", Mailbox, filters.Mail, false, "the sender; empty for notifications", readFrom},
		{"from.local", Text, filters.Mail, false, "the sender's local part", readFromLocal},
		{"from.domain", Domain, filters.Mail, false, "the sender's domain", readFromDomain},
		{"from.param.NAME", Text, filters.Mail, false, "a parameter of MAIL, such as from.param.SMTPUTF8", readFromParam},
		{"size", Size, filters.Mail, false, "octets of the message: as declared by SIZE before eom, counted from then on", readSize},
		{"to", Mailbox, filters.Rcpt, true, "the recipient in question; after rcpt, any of the recipients", readTo},
		{"to.local", Text, filters.Rcpt, true, "its local part", readToLocal},
		{"to.domain", Domain, filters.Rcpt, true, "its domain", readToDomain},
		{"to.param.NAME", Text, filters.Rcpt, true, "a parameter of RCPT, such as to.param.NOTIFY", readToParam},
		{"recipients", Number, filters.Rcpt, false, "how many recipients there are, the one in question included", readRecipients},
		{"header.NAME", Text, filters.EOH, true, "any field of that name, such as header.Subject, decoded and unfolded", readHeader},
		{"headers", Number, filters.EOH, false, "how many header fields there are", readHeaders},
		{"attachment.name", Text, filters.EOM, true, "the file name of any attachment, decoded", readAttachmentName},
		{"attachment.type", Text, filters.EOM, true, "the media type of any attachment, such as application/zip", readAttachmentType},
		{"body", Text, filters.EOM, false, "the text of the message, decoded, its first 64 KiB", readBody},
		{"findings", Text, filters.Mail, true, "what filters have found so far, each as filter:reason", readFindings},
		{"tags", Text, filters.Connect, true, "the tags that rules have given", readTags},
		{"score", Number, filters.Connect, false, "the sum of the scores that rules have given", readScore},
		{"fact.NAME", Free, filters.Rcpt, false, "a fact that a filter has set, such as fact.dnsbl.score; without fact. where no field has that name", readFact},
	}
}

// fieldRef is a field as a rule mentions it.
type fieldRef struct {
	*Field
	spelt string // canonical
	said  string // as the rule has it
	arg   string // the name in a family
}

// fieldSet knows the fields of one policy.
type fieldSet struct {
	named    map[string]*Field
	families []*Field
	fact     *Field
	facts    map[string]bool // nil when the host does not tell
}

func newFieldSet(facts []filters.FactInfo) *fieldSet {
	fs := &fieldSet{named: map[string]*Field{}}
	all := Fields()
	for i := range all {
		f := &all[i]
		switch {
		case f.family() == "":
			fs.named[f.Name] = f
		case f.family() == "fact.":
			fs.fact = f
			fs.families = append(fs.families, f)
		default:
			fs.families = append(fs.families, f)
		}
	}
	if facts != nil {
		fs.facts = map[string]bool{}
		for _, f := range facts {
			fs.facts[f.Name] = true
		}
	}
	return fs
}

// find returns the field that a rule means, or nil.
func (fs *fieldSet) find(name string) *fieldRef {
	if f := fs.named[name]; f != nil {
		return &fieldRef{f, name, name, ""}
	}
	for _, f := range fs.families {
		if arg, ok := strings.CutPrefix(name, f.family()); ok && arg != "" {
			return fs.inFamily(f, arg)
		}
	}
	if fs.isFact(name) {
		return &fieldRef{fs.fact, "fact." + name, name, name}
	}
	return nil
}

func (fs *fieldSet) inFamily(f *Field, arg string) *fieldRef {
	switch {
	case f == fs.fact && fs.facts != nil && !fs.facts[arg]:
		return nil
	case f == fs.fact:
		return &fieldRef{f, f.family() + arg, f.family() + arg, arg}
	case !filters.IsFieldName(arg):
		return nil
	}
	return &fieldRef{f, f.family() + strings.ToLower(arg), f.family() + arg, arg}
}

// isFact reports whether a name without fact. in front is that of a fact. A
// host that does not tell its facts leaves the form to go by: kind.word, unlike
// the name of any field.
func (fs *fieldSet) isFact(name string) bool {
	if fs.facts != nil {
		return fs.facts[name]
	}
	kind, word, ok := strings.Cut(name, ".")
	return ok && !fs.heads()[kind] && isSlug(kind) && isSlug(strings.ReplaceAll(word, ".", "_")) && strict.Nearest(name, fs.names()) == ""
}

// heads are the first words of our own fields.
func (fs *fieldSet) heads() map[string]bool {
	m := map[string]bool{}
	for name := range fs.named {
		head, _, _ := strings.Cut(name, ".")
		m[head] = true
	}
	for _, f := range fs.families {
		head, _, _ := strings.Cut(f.Name, ".")
		m[head] = true
	}
	return m
}

// names are what is suggested in place of an unknown field.
func (fs *fieldSet) names() []string {
	var list []string
	for _, f := range Fields() {
		if f.family() == "" {
			list = append(list, f.Name)
		}
	}
	for name := range fs.facts {
		list = append(list, name)
	}
	return list
}

// isSlug reports whether s is a word of lower-case letters, digits and
// underscores that begins with a letter.
func isSlug(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z':
		case i > 0 && (c == '_' || '0' <= c && c <= '9'):
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// maxName bounds the names of rules, lists and sets in octets.
const maxName = 64

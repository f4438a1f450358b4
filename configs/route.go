package configs

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"github.com/mailweir/mailweir/rules/strict"
)

// Route sends the mail for some domains to an upstream of their own.
type Route struct {
	Domains  []Domain    `yaml:"domains" required:"true" doc:"recipients' domains; .example.com is that domain and all below it"`
	Upstream UpstreamRef `yaml:"upstream" required:"true" doc:"where their mail goes: the name of a group, or a map as for the listener's upstream"`
}

// SetDefaults fills a route with its defaults.
func (r *Route) SetDefaults() {
	*r = Route{}
	r.Upstream.SetDefaults()
}

// Domain is a recipients' domain: "example.com", or ".example.com" for it and
// all below it. It is in lower case, with A-labels for what is not ASCII
// (RFC 5890).
type Domain string

// UnmarshalText reads a domain in any case, with A-labels or U-labels.
func (d *Domain) UnmarshalText(text []byte) error {
	entry := string(text)
	if strings.HasPrefix(entry, "*.") {
		return fmt.Errorf("%q: write %q for a domain and all below it", entry, entry[1:])
	}
	name, below := strings.CutPrefix(entry, ".")
	if len(name) <= 4*maxDomain { // no more of it fits, and encoding takes time
		if encoded, err := idna.Lookup.ToASCII(name); err == nil {
			name = encoded
		}
	}
	if !isDomain(name) {
		return fmt.Errorf("%q is no domain such as example.com, or .example.com for it and all below it", entry)
	}
	*d = Domain(strings.ToLower(name))
	if below {
		*d = "." + *d
	}
	return nil
}

// Limits of a domain name in octets (RFC 5321 section 4.5.3.1.2, RFC 1035
// section 2.3.4).
const (
	maxDomain = 255
	maxLabel  = 63
)

// isDomain reports whether a text is a domain name in ASCII. Underscores occur.
func isDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(strings.ToLower(s), ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// first returns the domain by which a group is called that is spelt out in the
// route: it is in no other.
func (r *Route) first() string {
	if len(r.Domains) == 0 {
		return ""
	}
	return string(r.Domains[0])
}

// Check holds a route to be for somebody.
func (r *Route) Check(report *strict.Report) {
	if r.Domains != nil && len(r.Domains) == 0 {
		report.Problem("domains", "want at least one", "")
	}
}

// checkRoutes holds each domain to have one route.
func (l *Listener) checkRoutes(r *strict.Report) {
	seen := map[Domain]bool{}
	for i, route := range l.Routes {
		for j, domain := range route.Domains {
			if seen[domain] {
				r.Path(fmt.Sprintf("routes[%d].domains[%d]", i, j), fmt.Sprintf("%s has a route already", domain), "leave one of them out")
			}
			seen[domain] = domain != "" // one that was wrong
		}
	}
}

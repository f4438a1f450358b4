package configs

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/filters/ipset"
	"github.com/mailweir/mailweir/rules/strict"
)

// mistakes collects what looks like one in the file, and does no harm.
type mistakes struct {
	doc  *strict.Document
	list []mistake
}

type mistake struct {
	strict.Pos
	text string
}

// warn adds them to the warnings, in the order of the file.
func (c *Config) warn() {
	m := mistakes{doc: c.doc}
	m.ofUpstreams(c)
	m.ofAdmin(c.Admin)
	for i, l := range c.Listeners {
		path := fmt.Sprintf("listeners[%d]", i)
		m.ofVersion(path, l.TLS.MinVersion)
		if l.TLS.Implicit && l.TLS.Require {
			m.add(path+".tls.require", "with implicit: true there is no session without TLS anyway")
		}
		m.ofNets(path+".proxy_protocol_from", l.ProxyProtocolFrom)
		m.ofNets(path+".xclient_from", l.XClientFrom)
	}
	slices.SortStableFunc(m.list, func(a, b mistake) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) })
	for _, w := range m.list {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s:%d:%d: %s", c.doc.Name, w.Line, w.Col, w.text))
	}
}

func (m *mistakes) add(path, text string) {
	m.list = append(m.list, mistake{m.doc.Find(path), text})
}

func (m *mistakes) ofUpstreams(c *Config) {
	used := map[string]bool{}
	for _, u := range c.uses() {
		used[u.ref.Name] = true
		if !u.ref.Called {
			m.ofVersion(u.path, u.ref.TLS.MinVersion)
		}
	}
	for i, u := range c.Upstreams {
		path := fmt.Sprintf("upstreams[%d]", i)
		m.ofVersion(path, u.TLS.MinVersion)
		if !used[u.Name] {
			m.add(path+".name", fmt.Sprintf("no listener and no route uses the group %s", u.Name))
		}
	}
}

func (m *mistakes) ofVersion(path string, v TLSVersion) {
	if v.deprecated() {
		m.add(path+".tls.min_version", fmt.Sprintf("TLS %s is deprecated (RFC 8996): what speaks nothing newer is rare", v))
	}
}

// ofNets tells of networks that are the whole Internet.
func (m *mistakes) ofNets(path string, nets []ipset.Net) {
	for i, n := range nets {
		if n.Bits() == 0 {
			m.add(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("anybody in %s may claim to be anybody", n))
		}
	}
}

package configs

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/mailweir/mailweir/rules/strict"
)

const (
	maxServers   = 100 // of a group: each is looked at while it is idle
	maxGroupName = 64  // characters
)

// Check holds the name to be one, and the settings to each other.
func (u *Upstream) Check(r *strict.Report) {
	if u.Name != "" && !isGroupName(u.Name) {
		r.Problem("name", fmt.Sprintf("%q is no name of a group", u.Name), fmt.Sprintf("want up to %d letters, digits, and any of - _ .", maxGroupName))
	}
	u.Group.Check(r)
}

// isGroupName reports whether a group may be called so: not as we call groups
// that are spelt out.
func isGroupName(s string) bool {
	return s != "" && len(s) <= maxGroupName && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// Check holds the settings to each other, and puts address among the servers.
func (g *Group) Check(r *strict.Report) {
	g.checkServers(r)
	if g.Reuse && g.Identity != NoIdentity && g.Identity != XFORWARD {
		r.Problem("reuse", fmt.Sprintf("with identity %s a connection is one client's", g.Identity), "only identity none and xforward let others follow")
	}
	if g.ProxyVersion != groupDefaults().ProxyVersion && g.Identity != PROXY {
		r.Problem("proxy_version", fmt.Sprintf("has no effect with identity %s", g.Identity), "add identity: proxy")
	}
	if g.Address != (ServerAddress{}) {
		g.Servers, g.Address = []Server{{g.Address, 1}}, ServerAddress{}
	}
}

func groupDefaults() (g Group) {
	g.SetDefaults()
	return g
}

// checkServers holds a group to have servers, each once, that its identity can
// be told to.
func (g *Group) checkServers(r *strict.Report) {
	both := r.Given("address") && len(g.Servers) > 0
	switch {
	case both:
		r.Problem("servers", "there is an address too", "make it one of the servers")
	case !r.Given("address") && !r.Given("servers"):
		r.Missing("address", "the MTA: host:port, or servers for several")
	case !r.Given("address") && g.Servers != nil && len(g.Servers) == 0:
		r.Problem("servers", "want at least one", "")
	case len(g.Servers) > maxServers:
		r.Problem("servers", fmt.Sprintf("want at most %d, got %d", maxServers, len(g.Servers)), "")
	}
	seen := map[ServerAddress]bool{}
	for i, s := range g.Servers {
		if seen[s.Address] && s.Address != (ServerAddress{}) {
			r.Path(fmt.Sprintf("servers[%d].address", i), fmt.Sprintf("a second %s", s.Address), "for a greater share of the sessions, give the first a weight")
		}
		seen[s.Address] = true
		if g.Identity == Transparent && s.Address.Kind == AtSocket {
			r.Path(fmt.Sprintf("servers[%d].address", i), noSocket, noSocketHint)
		}
	}
	if g.Identity == Transparent && g.Address.Kind == AtSocket {
		r.Problem("address", noSocket, noSocketHint)
	}
}

const (
	noSocket     = "identity transparent has no meaning at a Unix socket, where nobody has an address"
	noSocketHint = "write host:port, or another identity"
)

// Check holds the settings to each other.
func (b *BackOff) Check(r *strict.Report) {
	if b.First > b.Max {
		r.Problem("first", fmt.Sprintf("%s is longer than the max of %s", duration(b.First), duration(b.Max)), "")
	}
}

// Check holds the settings to each other.
func (p *Recipients) Check(r *strict.Report) {
	if p.Refresh > p.TTL {
		r.Problem("refresh", fmt.Sprintf("%s is longer than the ttl of %s", duration(p.Refresh), duration(p.TTL)), "")
	}
}

// Check holds the settings to each other.
func (t *UpstreamTLS) Check(r *strict.Report) {
	if t.Mode == NoTLS {
		idle(r, *t, groupDefaults().TLS, "mode", "with mode none", "add mode: required")
		return
	}
	t.checkTrust(r)
	switch {
	case t.Certificate != "" && t.Key == "":
		r.Missing("key", "the PEM file with the private key of the certificate")
	case t.Key != "" && t.Certificate == "":
		r.Missing("certificate", "the PEM file with the certificate of the key")
	}
}

// checkTrust holds what a certificate must be to what else is taken.
func (t *UpstreamTLS) checkTrust(r *strict.Report) {
	where, hint := "", ""
	switch {
	case t.Mode == Opportunistic:
		where, hint = "with mode opportunistic, which takes any certificate", "write mode: required"
	case !t.Verify:
		where, hint = "with verify: false", "leave one of them out"
	}
	if where != "" && len(t.Fingerprints) > 0 {
		r.Problem("fingerprints", "has no effect "+where, hint)
	}
	if where == "" && len(t.Fingerprints) > 0 {
		where, hint = "beside fingerprints", "leave one of them out"
	}
	if where != "" && t.CA != "" {
		r.Problem("ca", "has no effect "+where, hint)
	}
}

// Check holds the settings to each other.
func (t *TLS) Check(r *strict.Report) {
	if len(t.Certificates) == 0 {
		if t.Certificates != nil || !r.Given("certificates") { // else what is wrong with them has been told
			idle(r, *t, listenerDefaults().TLS, "certificates", "without certificates", "add certificates: [{certificate: mx.pem, key: mx.key}]")
		}
		return
	}
	switch {
	case t.ClientCertificates == RequireCertificate && t.ClientCA == "":
		r.Missing("client_ca", "the PEM file with the authorities whose certificates client_certificates: require takes")
	case t.ClientCertificates == NoCertificate && t.ClientCA != "":
		r.Problem("client_ca", "has no effect with client_certificates: none", "add client_certificates: request, or require")
	}
}

func listenerDefaults() (l Listener) {
	l.SetDefaults()
	return l
}

// idle notes the settings of a struct, but for one, that are not at their
// defaults where they have no effect.
func idle(r *strict.Report, conf, defaults any, but, where, hint string) {
	v, d := reflect.ValueOf(conf), reflect.ValueOf(defaults)
	for _, f := range strict.Fields(v.Type()) {
		now, was := f.Of(v), f.Of(d)
		empty := now.Kind() == reflect.Slice && now.Len() == 0
		if f.Name != but && !empty && !reflect.DeepEqual(now.Interface(), was.Interface()) {
			r.Problem(f.Name, "has no effect "+where, hint)
		}
	}
}

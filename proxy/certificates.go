package proxy

import (
	"errors"
	"fmt"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy/certs"
)

// certificates are those that one configuration names.
type certificates struct {
	servers map[string]*certs.ServerConfig // by the listeners' names
	clients map[string]*certs.ClientConfig // by the groups' names
}

// openCertificates reads the files. Its error joins configs.SettingErrors; what
// could be read is to be closed in any case.
func openCertificates(cfg *configs.Config, shelf *certs.Shelf) (*certificates, error) {
	c := &certificates{servers: map[string]*certs.ServerConfig{}, clients: map[string]*certs.ClientConfig{}}
	var errs []error
	for _, l := range cfg.Listeners {
		if len(l.TLS.Certificates) == 0 {
			continue
		}
		server, err := shelf.Server(serverTLS(cfg, l.TLS))
		if err != nil {
			errs = append(errs, ofListener(l.Name, err)...)
			continue
		}
		c.servers[l.Name] = server
	}
	for _, g := range cfg.Groups() {
		if g.TLS.Mode == configs.NoTLS {
			continue
		}
		client, err := shelf.Client(clientTLS(cfg, g.TLS))
		if err != nil {
			errs = append(errs, ofGroup(g.Name, err)...)
			continue
		}
		c.clients[g.Name] = client
	}
	return c, errors.Join(errs...)
}

// close gives the files back.
func (c *certificates) close() {
	for _, s := range c.servers {
		s.Close()
	}
	for _, s := range c.clients {
		s.Close()
	}
}

func serverTLS(cfg *configs.Config, t configs.TLS) certs.Server {
	o := certs.Server{
		MinVersion: t.MinVersion.Number(),
		Clients:    clientCertificates[t.ClientCertificates],
		ClientCA:   cfg.Path(t.ClientCA),
	}
	for _, pair := range t.Certificates {
		o.Certificates = append(o.Certificates, certs.Pair{Certificate: cfg.Path(pair.Certificate), Key: cfg.Path(pair.Key)})
	}
	return o
}

var clientCertificates = map[configs.ClientCertificates]certs.Clients{
	configs.NoCertificate:      certs.None,
	configs.RequestCertificate: certs.Request,
	configs.RequireCertificate: certs.Require,
}

func clientTLS(cfg *configs.Config, t configs.UpstreamTLS) certs.Client {
	o := certs.Client{
		CA:          cfg.Path(t.CA),
		Name:        t.ServerName,
		Verify:      t.Verify && t.Mode != configs.Opportunistic, // whoever takes plain text takes any certificate
		Certificate: cfg.Path(t.Certificate),
		Key:         cfg.Path(t.Key),
		MinVersion:  t.MinVersion.Number(),
	}
	for _, f := range t.Fingerprints {
		o.Fingerprints = append(o.Fingerprints, string(f))
	}
	return o
}

// ofListener tells which settings of a listener name files that cannot be used.
func ofListener(name string, err error) (list []error) {
	if len(certs.FileErrors(err)) == 0 {
		return []error{&configs.SettingError{Listener: name, Key: "tls", Err: err}}
	}
	for _, e := range certs.FileErrors(err) {
		key := "tls." + e.Option
		if e.Option == "certificate" || e.Option == "key" {
			key = fmt.Sprintf("tls.certificates[%d].%s", e.Index, e.Option)
		}
		list = append(list, &configs.SettingError{Listener: name, Key: key, Err: e})
	}
	return list
}

// ofGroup is ofListener for a group of upstreams.
func ofGroup(name string, err error) (list []error) {
	if len(certs.FileErrors(err)) == 0 {
		return []error{&configs.SettingError{Upstream: name, Key: "tls", Err: err}}
	}
	for _, e := range certs.FileErrors(err) {
		list = append(list, &configs.SettingError{Upstream: name, Key: "tls." + e.Option, Err: e})
	}
	return list
}

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
)

// Clients says what is asked of clients for a certificate of theirs.
type Clients uint8

// What clients are asked for.
const (
	None    Clients = iota // nothing
	Request                // a certificate; Facts tell whether it is trusted
	Require                // one that is trusted; there is no TLS without it
)

// Server is what a listener wants.
type Server struct {
	Certificates []Pair // the first is for clients that ask for no name, or for one that none has
	MinVersion   uint16 // such as tls.VersionTLS13; 0 for TLS 1.2
	Clients      Clients
	ClientCA     string // file of the authorities whose clients are trusted, "" for none
}

// ServerConfig is TLS with the clients of a listener. It is safe for concurrent
// use.
type ServerConfig struct {
	want  Server
	uses  uses
	pairs []*source
	ca    *source // nil for none

	mu     sync.Mutex
	config *tls.Config // for the authorities in force
}

var (
	errNoCertificate = errors.New("TLS needs a certificate: set certificates")
	errNoClientCA    = errors.New("client certificates cannot be required without authorities to trust: set client_ca")
)

// Server reads the files that o names. Its error has a FileError for each that
// cannot be used: see FileErrors.
func (s *Shelf) Server(o Server) (*ServerConfig, error) {
	switch {
	case len(o.Certificates) == 0:
		return nil, errNoCertificate
	case o.Clients == Require && o.ClientCA == "":
		return nil, errNoClientCA
	}
	c := &ServerConfig{want: o, uses: uses{shelf: s}}
	for i, p := range o.Certificates {
		c.pairs = append(c.pairs, c.uses.pair(i, p))
	}
	if o.Clients != None && o.ClientCA != "" {
		c.ca = c.uses.authorities("client_ca", o.ClientCA)
	}
	if err := c.uses.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Close gives the files back. The configuration stays usable by sessions that
// have it; it may no longer follow the files.
func (c *ServerConfig) Close() { c.uses.close() }

// Config returns the settings for a handshake now. Ask for each handshake: they
// may change with the files. They are not to be changed.
//
// Sessions can be resumed (RFC 8446 section 2.2) among handshakes with the same
// settings only. Other authorities for clients mean new settings, and so new
// tickets: nobody resumes what would be refused now.
func (c *ServerConfig) Config() *tls.Config {
	roots := c.roots()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config == nil || c.config.ClientCAs != roots {
		c.config = c.make(roots)
	}
	return c.config
}

// roots returns the authorities whose clients are trusted, nil for none.
func (c *ServerConfig) roots() *x509.CertPool {
	if c.ca == nil {
		return nil
	}
	return c.ca.value.Load().roots
}

func (c *ServerConfig) make(roots *x509.CertPool) *tls.Config {
	config := &tls.Config{
		GetCertificate: c.choose,
		MinVersion:     atLeast(c.want.MinVersion),
		ClientCAs:      roots,
		Time:           c.uses.shelf.now,
	}
	switch c.want.Clients {
	case Request:
		// Not VerifyClientCertIfGiven: MTAs show what certificate they have, and
		// would be lost for one that means nothing here.
		config.ClientAuth = tls.RequestClientCert
	case Require:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

// atLeast returns the least version to agree on: 1.2 unless another is wanted
// (RFC 8996).
func atLeast(version uint16) uint16 {
	if version == 0 {
		return tls.VersionTLS12
	}
	return version
}

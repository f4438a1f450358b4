package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
)

// Client is what we want of the TLS of upstreams.
type Client struct {
	CA           string   // file of the authorities to trust, "" for those of the system
	Name         string   // the one that certificates must be for, "" for the server's own
	Fingerprints []string // SHA-256 of certificates, in hex with or without colons; if any, nothing else is checked
	Verify       bool     // false for no checks, unless there are fingerprints
	Certificate  string   // file of our own certificate, "" for none
	Key          string   // file of its key
	MinVersion   uint16   // such as tls.VersionTLS13; 0 for TLS 1.2
}

// keptSessions is how many servers are remembered for resumption.
const keptSessions = 64

// ClientConfig is TLS with the servers of a group. It is safe for concurrent
// use.
type ClientConfig struct {
	want Client
	uses uses
	pins []pin
	ca   *source // nil for the system's
	pair *source // nil for none

	mu       sync.Mutex
	sessions tls.ClientSessionCache
	shownAs  *tls.Certificate // by which sessions were made, nil for none
}

type pin [sha256.Size]byte

// Client reads the files that o names. Its error has a FileError for each that
// cannot be used: see FileErrors.
func (s *Shelf) Client(o Client) (*ClientConfig, error) {
	c := &ClientConfig{want: o, uses: uses{shelf: s}}
	for i, text := range o.Fingerprints {
		p, err := parsePin(text)
		if err != nil {
			return nil, fmt.Errorf("fingerprints[%d]: %w", i, err)
		}
		c.pins = append(c.pins, p)
	}
	if o.CA != "" {
		c.ca = c.uses.authorities("ca", o.CA)
	}
	if o.Certificate != "" || o.Key != "" {
		c.pair = c.uses.pair(0, Pair{o.Certificate, o.Key})
	}
	if err := c.uses.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parsePin reads the hex form of a fingerprint, as openssl x509 -fingerprint
// -sha256 prints it or plain.
func parsePin(text string) (p pin, err error) {
	digits := strings.ReplaceAll(text, ":", "")
	if len(digits) != hex.EncodedLen(len(p)) {
		return p, fmt.Errorf("%q is no fingerprint: it takes the %d hexadecimal digits of SHA-256", text, hex.EncodedLen(len(p)))
	}
	if _, err := hex.Decode(p[:], []byte(digits)); err != nil {
		return p, fmt.Errorf("%q is no fingerprint: it takes hexadecimal digits", text)
	}
	return p, nil
}

// Close gives the files back. The configuration stays usable by sessions that
// have it; it may no longer follow the files.
func (c *ClientConfig) Close() { c.uses.close() }

// Config returns the settings for a handshake now with the server of that name,
// or address; "" if it has none, as on a Unix socket. Ask for each handshake:
// they may change with the files.
func (c *ClientConfig) Config(serverName string) *tls.Config {
	name := strings.TrimSuffix(serverName, ".")
	if c.want.Name != "" {
		name = c.want.Name
	}
	config := &tls.Config{
		ServerName:         name,
		MinVersion:         atLeast(c.want.MinVersion),
		InsecureSkipVerify: true, // VerifyConnection does it, for resumed sessions too
		VerifyConnection:   c.check(name),
		Time:               c.uses.shelf.now,
	}
	var own *tls.Certificate
	if c.pair != nil {
		own = c.pair.value.Load().cert
		// Not Certificates: that keeps ours back from a server whose list of
		// authorities lacks our issuer, and such lists are often short.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	config.ClientSessionCache = c.sessionsOf(own)
	return config
}

// sessionsOf returns the sessions that can be resumed: those that were made
// with the same certificate of ours.
func (c *ClientConfig) sessionsOf(own *tls.Certificate) tls.ClientSessionCache {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions == nil || c.shownAs != own {
		c.sessions, c.shownAs = tls.NewLRUClientSessionCache(keptSessions), own
	}
	return c.sessions
}

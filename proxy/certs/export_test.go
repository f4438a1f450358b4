package certs

import "crypto/tls"

// What is fuzzed, without files.
var (
	ParsePin  = parsePin
	HostName  = hostName
	Shown     = shown
	Printable = printable
)

// ParsePair reads what the files of a pair say.
func ParsePair(certificate, key []byte) (*tls.Certificate, error) {
	chain, err := parseChain(certificate)
	if err != nil {
		return nil, err
	}
	return match(chain, "mx.pem", key)
}

// ParseAuthorities reads what a file of authorities says.
func ParseAuthorities(data []byte) error {
	_, err := parseAuthorities(data)
	return err
}

package configs

import (
	"crypto/tls"
	"encoding/hex"
	"errors"
	"strings"
)

// TLS is the encryption of clients' connections.
type TLS struct {
	Certificates       []Certificate      `yaml:"certificates" doc:"our certificates, each with its key: [{certificate: mx.pem, key: mx.key}]; the client's server name chooses, the first is for all other names; without any there is no TLS"`
	Implicit           bool               `yaml:"implicit" doc:"true: TLS from the first octet, as on port 465 (RFC 8314); false: offer STARTTLS (RFC 3207)"`
	Require            bool               `yaml:"require" doc:"answer with 530 whatever comes before STARTTLS; not for an MX, which must take mail in clear too (RFC 3207 section 4)"`
	MinVersion         TLSVersion         `yaml:"min_version" doc:"the oldest version to speak: 1.0, 1.1, 1.2 or 1.3; those before 1.2 are deprecated (RFC 8996)"`
	ClientCertificates ClientCertificates `yaml:"client_certificates" doc:"whether clients are asked for a certificate: none; request, they may show one; require, without a valid one there is no TLS"`
	ClientCA           string             `yaml:"client_ca" doc:"PEM file with the authorities that sign clients' certificates; with request, whether a certificate that is shown is valid by it is told to the rules"`
}

// Certificate is one of our certificates.
type Certificate struct {
	Certificate string `yaml:"certificate" required:"true" doc:"PEM file with the certificate, behind it those between it and its authority; a relative name starts where this file is"`
	Key         string `yaml:"key" required:"true" doc:"PEM file with its private key"`
}

// UpstreamTLS is the encryption of connections to an upstream.
type UpstreamTLS struct {
	Mode         TLSMode       `yaml:"mode" doc:"none; opportunistic, by STARTTLS if the MTA offers it, with any certificate; required, by STARTTLS or not at all; implicit, from the first octet"`
	CA           string        `yaml:"ca" doc:"PEM file with the authorities that may sign the MTA's certificate, empty for those of the machine"`
	ServerName   string        `yaml:"server_name" format:"host" doc:"the name that the MTA's certificate must have, empty for the host of its address"`
	Fingerprints []Fingerprint `yaml:"fingerprints" doc:"SHA-256 of certificates in hex, as openssl x509 -fingerprint -sha256 prints it: the MTA must show one of them, and nothing else about it is checked"`
	Verify       bool          `yaml:"verify" doc:"false takes any certificate, which keeps out listeners but not impostors"`
	Certificate  string        `yaml:"certificate" doc:"PEM file with a certificate of ours to show to the MTA, empty for none"`
	Key          string        `yaml:"key" doc:"PEM file with its private key"`
	MinVersion   TLSVersion    `yaml:"min_version" doc:"the oldest version to speak: 1.0, 1.1, 1.2 or 1.3"`
}

// TLSMode is when connections to an upstream are encrypted.
type TLSMode string

// The modes.
const (
	NoTLS         TLSMode = "none"
	Opportunistic TLSMode = "opportunistic" // by STARTTLS if it is offered
	RequireTLS    TLSMode = "required"      // by STARTTLS
	ImplicitTLS   TLSMode = "implicit"      // from the first octet
)

// Words returns the modes there are.
func (TLSMode) Words() []string {
	return []string{string(NoTLS), string(Opportunistic), string(RequireTLS), string(ImplicitTLS)}
}

// ClientCertificates is whether clients are asked for a certificate.
type ClientCertificates string

// Whether clients are asked.
const (
	NoCertificate      ClientCertificates = "none"
	RequestCertificate ClientCertificates = "request"
	RequireCertificate ClientCertificates = "require"
)

// Words returns the ways there are.
func (ClientCertificates) Words() []string {
	return []string{string(NoCertificate), string(RequestCertificate), string(RequireCertificate)}
}

// TLSVersion is a version of TLS.
type TLSVersion string

// Words returns the versions there are.
func (TLSVersion) Words() []string { return []string{"1.0", "1.1", "1.2", "1.3"} }

// Number returns the version as package tls knows it.
func (v TLSVersion) Number() uint16 {
	return map[TLSVersion]uint16{
		"1.0": tls.VersionTLS10,
		"1.1": tls.VersionTLS11,
		"1.2": tls.VersionTLS12,
		"1.3": tls.VersionTLS13,
	}[v]
}

// deprecated reports whether the version should not be spoken any more (RFC 8996).
func (v TLSVersion) deprecated() bool { return v == "1.0" || v == "1.1" }

// Fingerprint is the SHA-256 of a certificate, as 64 hex digits in lower case.
type Fingerprint string

var errFingerprint = errors.New("want the SHA-256 of a certificate: 64 hex digits, with or without colons")

// UnmarshalText reads hex digits, with colons between pairs or without.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	digits := strings.ToLower(strings.ReplaceAll(string(text), ":", ""))
	if sum, err := hex.DecodeString(digits); err != nil || len(sum) != 32 {
		return errFingerprint
	}
	*f = Fingerprint(digits)
	return nil
}

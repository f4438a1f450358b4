package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// minRSA is the least size of an RSA key in bits that crypto/rsa signs with.
// Many peers want 2048.
const minRSA = 1024

var errEncrypted = errors.New("the private key is encrypted, which is not supported: decrypt it with openssl pkey -in FILE -out NEWFILE, and chmod 640 that")

// key is a private key that can sign.
type key struct{ crypto.Signer }

// fits reports whether the key is the private half of pub.
func (k key) fits(pub crypto.PublicKey) bool {
	mine, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && mine.Equal(pub)
}

// parseKey reads the private key among the blocks of PEM.
func parseKey(data []byte) (key, error) {
	all, err := blocks(data)
	if err != nil {
		return key{}, err
	}
	keys, certs := only(all, isKey, isCertificate)
	switch {
	case len(keys) == 0 && certs:
		return key{}, errors.New("a certificate, and no private key: look whether certificate and key are swapped")
	case len(keys) == 0:
		return key{}, errors.New("no private key in PEM form: convert it, such as with openssl pkey -inform der")
	case len(keys) > 1:
		return key{}, fmt.Errorf("%d private keys: leave one in the file", len(keys))
	case encrypted(keys[0]):
		return key{}, errEncrypted
	}
	parsed, err := parseSigner(keys[0])
	if err != nil {
		return key{}, fmt.Errorf("not a private key that can be read: take one of RSA, ECDSA or Ed25519: %w", err)
	}
	if k, ok := parsed.(*rsa.PrivateKey); ok && k.N.BitLen() < minRSA {
		return key{}, fmt.Errorf("the RSA key has %d bits, and nobody trusts that: make one of 2048 bits", k.N.BitLen())
	}
	return key{parsed}, nil
}

// encrypted reports whether b needs a passphrase (RFC 5958 section 3, or the
// older form of RFC 1421 section 4.6.1.1 that openssl wrote).
func encrypted(b *pem.Block) bool {
	return b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED")
}

// parseSigner reads PKCS #8, which openssl writes now, or the older forms.
func parseSigner(b *pem.Block) (crypto.Signer, error) {
	var parsed any
	var err error
	switch b.Type {
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(b.Bytes)
	default:
		parsed, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, err
	}
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P224() { // TLS has the others that x509 knows
			return nil, errors.New("a key on the curve P-224, which TLS does not use")
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("a key of another kind (%T)", parsed)
}

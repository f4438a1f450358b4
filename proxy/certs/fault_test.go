package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/certs"
)

// smallRSA is a key as crypto/rsa no longer makes unless it is made to.
func smallRSA(t *testing.T) []byte {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 512)
	if err != nil {
		t.Fatal(err)
	}
	return encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func classic(t *testing.T) []byte {
	t.Helper()
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", []byte("x"), []byte("secret"), x509.PEMCipherAES128) //lint:ignore SA1019 such files exist
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func smallCurve(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

// TestFaultyPairs holds each fault of a pair to its own words.
func TestFaultyPairs(t *testing.T) {
	ca := newAuthority(t, "ca")
	a, b := ca.issue(t, leaf{cn: "a"}), ca.issue(t, leaf{cn: "b"})
	many := []byte(strings.Repeat(string(a.cert), 21))
	for _, c := range []struct {
		what      string
		cert, key []byte // nil for no file
		option    string
		want      string
	}{
		{"no certificate", nil, a.key, "certificate", "no such file or directory: correct the name"},
		{"no key", a.cert, nil, "key", "no such file or directory: correct the name"},
		{"empty", []byte{}, a.key, "certificate", "no certificate in PEM form: convert it"},
		{"DER", a.leaf.Raw, a.key, "certificate", "no certificate in PEM form: convert it"},
		{"swapped", a.key, a.cert, "certificate", "a private key, and no certificate: look whether"},
		{"two certificates", a.cert, a.cert, "key", "a certificate, and no private key: look whether"},
		{"empty key", a.cert, []byte{}, "key", "no private key in PEM form: convert it"},
		{"cut off", a.cert[:100], a.key, "certificate", "cut off or broken"},
		{"chain cut off", join(a.cert, b.cert[:100]), a.key, "certificate", "cut off or broken"},
		{"key cut off", a.cert, a.key[:100], "key", "cut off or broken"},
		{"junk", encode("CERTIFICATE", []byte("junk")), a.key, "certificate", "certificate 1: not a certificate that can be read"},
		{"junk in the chain", join(a.cert, encode("CERTIFICATE", []byte("junk"))), a.key, "certificate", "certificate 2: not a certificate"},
		{"too many", many, a.key, "certificate", "21 certificates, more than 20"},
		{"too large", make([]byte, 300<<10), a.key, "certificate", "too large"},
		{"another key", a.cert, b.key, "key", "does not belong to the certificate in "},
		{"wrong order", join(b.cert, a.cert), a.key, "key", "the key belongs to certificate 2 in "},
		{"two keys", a.cert, join(a.key, b.key), "key", "2 private keys: leave one"},
		{"encrypted", a.cert, encode("ENCRYPTED PRIVATE KEY", []byte("x")), "key", "decrypt it with openssl pkey -in"},
		{"encrypted of old", a.cert, classic(t), "key", "decrypt it with openssl pkey -in"},
		{"junk key", a.cert, encode("PRIVATE KEY", []byte("junk")), "key", "not a private key that can be read"},
		{"junk EC key", a.cert, encode("EC PRIVATE KEY", []byte("junk")), "key", "not a private key that can be read"},
		{"junk RSA key", a.cert, encode("RSA PRIVATE KEY", []byte("junk")), "key", "not a private key that can be read"},
		{"small curve", a.cert, smallCurve(t), "key", "curve P-224"},
		{"small RSA key", a.cert, smallRSA(t), "key", "the RSA key has 512 bits"},
	} {
		dir := t.TempDir()
		p := certs.Pair{Certificate: filepath.Join(dir, "mx.pem"), Key: filepath.Join(dir, "mx.key")}
		for name, data := range map[string][]byte{p.Certificate: c.cert, p.Key: c.key} {
			if data != nil {
				write(t, name, data, 0o600)
			}
		}
		shelf, _ := newShelf(t)
		_, err := shelf.Server(certs.Server{Certificates: []certs.Pair{p}})
		faults := certs.FileErrors(err)
		if len(faults) != 1 {
			t.Errorf("%s: %d faults in %v", c.what, len(faults), err)
			continue
		}
		file := map[string]string{"certificate": p.Certificate, "key": p.Key}[c.option]
		if f := faults[0]; f.Option != c.option || f.File != file || !strings.HasPrefix(f.Error(), file+": ") || !strings.Contains(f.Error(), c.want) {
			t.Errorf("%s: option %s: %v; want %s: ...%s", c.what, f.Option, f, c.option, c.want)
		}
	}
}

// TestFaultyAuthorities does it with files of authorities.
func TestFaultyAuthorities(t *testing.T) {
	a := newAuthority(t, "ca").issue(t, leaf{cn: "a"})
	for _, c := range []struct {
		what string
		data []byte
		want string
	}{
		{"empty", []byte{}, "no certificate in PEM form"},
		{"a key", a.key, "no certificate in PEM form"},
		{"cut off", a.cert[:100], "cut off or broken"},
		{"junk", encode("CERTIFICATE", []byte("junk")), "no certificate that can be read"},
		{"too large", make([]byte, 9<<20), "too large"},
		{"gone", nil, "no such file"},
	} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if c.data != nil {
			write(t, file, c.data, 0o644)
		}
		shelf, _ := newShelf(t)
		_, err := shelf.Client(certs.Client{CA: file, Verify: true})
		want := []string{"ca " + file}
		if diff := cmp.Diff(want, places(err)); diff != "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s; places: %s", c.what, err, c.want, diff)
		}
	}
}

// places are the options and files that an error tells of.
func places(err error) []string {
	var all []string
	for _, f := range certs.FileErrors(err) {
		all = append(all, f.Option+strings.Repeat("+", f.Index)+" "+f.File)
	}
	return all
}

// TestAllFaults holds that one attempt tells of everything, at its place.
func TestAllFaults(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	good := ca.issue(t, leaf{cn: "a"}).files(t, dir, "good")
	shelf, _ := newShelf(t)
	_, err := shelf.Server(certs.Server{
		Certificates: []certs.Pair{good, {Certificate: "/none.pem", Key: good.Key}, {Certificate: good.Certificate, Key: "/none.key"}},
		Clients:      certs.Require, ClientCA: "/none.ca",
	})
	if diff := cmp.Diff([]string{"certificate+ /none.pem", "key++ /none.key", "client_ca /none.ca"}, places(err)); diff != "" {
		t.Errorf("server: %s", diff)
	}
	_, err = shelf.Client(certs.Client{CA: "/none.ca", Certificate: "/none.pem", Key: good.Key})
	if diff := cmp.Diff([]string{"ca /none.ca", "certificate /none.pem"}, places(err)); diff != "" {
		t.Errorf("client: %s", diff)
	}
}

// TestFaultyWishes are those that no file can meet.
func TestFaultyWishes(t *testing.T) {
	ca := newAuthority(t, "ca")
	good := ca.issue(t, leaf{cn: "a"}).files(t, t.TempDir(), "good")
	shelf, _ := newShelf(t)
	for want, o := range map[string]certs.Server{
		"set certificates": {},
		"set client_ca":    {Certificates: []certs.Pair{good}, Clients: certs.Require},
	} {
		if _, err := shelf.Server(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, text := range []string{"", "abc", strings.Repeat("g", 64), strings.Repeat("a", 63), strings.Repeat("a", 66)} {
		_, err := shelf.Client(certs.Client{Fingerprints: []string{strings.Repeat("0", 64), text}})
		if err == nil || !strings.HasPrefix(err.Error(), "fingerprints[1]: ") {
			t.Errorf("fingerprint %q: %v", text, err)
		}
	}
}

// TestForms holds the forms of files that people have to be read.
func TestForms(t *testing.T) {
	ca := newAuthority(t, "ca")
	ec := ca.issue(t, leaf{cn: "ec"})
	withRSA := ca.issue(t, leaf{cn: "rsa", key: rsaKey()})
	sec1, err := x509.MarshalECPrivateKey(mustKey[*ecdsa.PrivateKey](t, ec.key))
	if err != nil {
		t.Fatal(err)
	}
	params := encode("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	for what, m := range map[string]made{
		"as it comes":         ec,
		"SEC 1":               {cert: ec.cert, key: join(params, encode("EC PRIVATE KEY", sec1))},
		"PKCS #1":             {cert: withRSA.cert, key: pkcs1(t, withRSA.key)},
		"RSA":                 withRSA,
		"all in each":         {cert: join(ec.key, ec.cert), key: join(ec.cert, ec.key)},
		"byte order mark":     {cert: join([]byte("\ufeff"), ec.cert), key: ec.key},
		"lines end with CRLF": {cert: []byte(strings.ReplaceAll(string(ec.cert), "\n", "\r\n")), key: ec.key},
		"comments":            {cert: join([]byte("Bag Attributes\n -----BEGIN nothing\n"), ec.cert), key: join(ec.key, []byte("end"))},
	} {
		shelf, _ := newShelf(t)
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{m.files(t, t.TempDir(), "mx")}})
		if m := handshake(server.Config(), anyServer("")); !m.ok() {
			t.Errorf("%s: %v, %v", what, m.serverErr, m.clientErr)
		}
	}
}

// TestOddities holds what works, and is complained of.
func TestOddities(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	p := ca.issue(t, leaf{cn: "a"}).files(t, dir, "mx")
	do(t, os.Chmod(p.Key, 0o644))
	junk := filepath.Join(dir, "ca.pem")
	write(t, junk, join(ca.pem(), encode("CERTIFICATE", []byte("junk"))), 0o644)
	shelf, log := newShelf(t)
	newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}, Clients: certs.Require, ClientCA: junk})
	logged := log.Take()
	for _, want := range []string{"take them away with chmod o=\" file=" + p.Key, "are left out\" file=" + junk + " count=1"} {
		if !strings.Contains(logged, want) {
			t.Errorf("logged %q, want %q", logged, want)
		}
	}

	do(t, os.Chmod(p.Key, 0o640))
	shelf, log = newShelf(t)
	newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}})
	if logged := log.Take(); logged != "" {
		t.Errorf("logged %q of a key for owner and group", logged)
	}
}

// TestPermission needs a user who may not read everything.
func TestPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	p := newAuthority(t, "ca").issue(t, leaf{cn: "a"}).files(t, t.TempDir(), "mx")
	do(t, os.Chmod(p.Key, 0))
	shelf, _ := newShelf(t)
	_, err := shelf.Server(certs.Server{Certificates: []certs.Pair{p}})
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "let mailweir's user read it") {
		t.Error(err)
	}
}

func pkcs1(t *testing.T, data []byte) []byte {
	t.Helper()
	return encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(mustKey[*rsa.PrivateKey](t, data)))
}

func mustKey[K any](t *testing.T, data []byte) K {
	t.Helper()
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(K)
}

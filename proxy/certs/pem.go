package certs

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

// Limits of files in octets. A chain has a few KiB, the authorities of all
// browsers have a quarter of a MiB.
const (
	maxPairFile = 256 << 10
	maxCAFile   = 8 << 20
)

var (
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = errors.New("too large for what it should be: look whether it is another file")
	errCutOff     = errors.New("a block of PEM in it is cut off or broken: copy the file again")
)

// slurp reads a file, and tells its mode.
func slurp(name string, limit int64) (data []byte, mode os.FileMode, err error) {
	info, err := os.Stat(name) // first: to open a pipe would wait for its writer
	if err != nil {
		return nil, 0, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, unreadable(err)
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, 0, unreadable(err)
	}
	if int64(len(data)) > limit {
		return nil, 0, errTooLarge
	}
	return data, info.Mode(), nil
}

// blocks returns the blocks of PEM (RFC 7468) in data. What stands between them
// is a comment. A block without its end is an error: the file may be in the
// making.
func blocks(data []byte) ([]*pem.Block, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // which some editors put in front
	begun := bytes.Count(data, []byte("\n-----BEGIN "))
	if bytes.HasPrefix(data, []byte("-----BEGIN ")) {
		begun++
	}
	var all []*pem.Block
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		all = append(all, block)
	}
	if len(all) != begun {
		return nil, errCutOff
	}
	return all, nil
}

const certificateBlock = "CERTIFICATE"

func isCertificate(b *pem.Block) bool { return b.Type == certificateBlock }

// isKey reports whether b is a private key: of PKCS #8, encrypted or not, or
// of one of the older forms.
func isKey(b *pem.Block) bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") }

// only returns the blocks that are of a kind, and whether there are others of
// another one.
func only(all []*pem.Block, kind, other func(*pem.Block) bool) (these []*pem.Block, others bool) {
	for _, b := range all {
		if kind(b) {
			these = append(these, b)
		}
	}
	return these, slices.ContainsFunc(all, other)
}

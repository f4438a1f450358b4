package certs_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// systemFile is where the system's authorities are, for this process: see
// system.
var systemFile string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mailweir-certs-")
	if err != nil {
		panic(err)
	}
	systemFile = filepath.Join(dir, "system.pem")
	os.Setenv("SSL_CERT_FILE", systemFile)
	os.Setenv("SSL_CERT_DIR", dir)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

var theSystem struct {
	sync.Once
	*authority
}

// system is the one authority of the system. Who needs the system's asks for it
// before crypto/x509 reads them, which is once.
func system(t *testing.T) *authority {
	t.Helper()
	theSystem.Do(func() {
		theSystem.authority = newAuthority(t, "system")
		write(t, systemFile, theSystem.pem(), 0o644)
	})
	return theSystem.authority
}

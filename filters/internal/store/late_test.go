package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters/internal/store"
)

// TestOpenLate has a store wait for a file that another one uses: what it has
// remembered meanwhile goes into the file, and newer entries win.
func TestOpenLate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	old := open(t, 100, file)
	old.Put("old", []byte("1"), time.Hour)
	old.Put("both", []byte("1"), time.Hour)
	late := newHost(100)
	late.Put("new", []byte("2"), time.Hour)
	late.Put("both", []byte("2"), time.Hour)
	if err := late.Open(file); !errors.Is(err, store.ErrInUse) {
		t.Fatalf("a file in use: %v", err)
	}
	old.mustClose(t)
	if err := late.Open(file); err != nil {
		t.Fatal(err)
	}
	want(t, late, "old", "1")
	want(t, late, "both", "2")
	late.mustClose(t)
	again := open(t, 100, file)
	defer again.mustClose(t)
	want(t, again, "old", "1")
	want(t, again, "new", "2")
	want(t, again, "both", "2")
}

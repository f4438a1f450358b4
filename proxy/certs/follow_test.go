package certs_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/certs"
)

// twoLooks is as long as a change takes at the most.
const twoLooks = 20*time.Second + time.Millisecond

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// step is something that happens to files, and what comes of it.
type step struct {
	what string
	do   func()
	want string // common name of the certificate in force afterwards
	log  string // part of the one record, "" for none
}

// play takes the steps, each followed by two looks.
func play(t *testing.T, server *certs.ServerConfig, log *filtertest.Log, steps []step) {
	t.Helper()
	for _, s := range steps {
		s.do()
		time.Sleep(twoLooks)
		synctest.Wait()
		m := handshake(server.Config(), anyServer(""))
		if !m.ok() || m.seen() != s.want {
			t.Errorf("%s: the certificate is %q, want %q (%v, %v)", s.what, m.seen(), s.want, m.serverErr, m.clientErr)
		}
		logged := log.Take()
		if !strings.Contains(logged, s.log) || strings.Count(logged, "\n") != min(1, len(s.log)) {
			t.Errorf("%s: logged %q, want one record with %q", s.what, logged, s.log)
		}
	}
}

// TestFollow tells the life of a pair of files.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		a, b, c := ca.issue(t, leaf{cn: "a"}), ca.issue(t, leaf{cn: "b"}), ca.issue(t, leaf{cn: "c"})
		p := a.files(t, dir, "mx")
		shelf, log := newShelf(t)
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}})
		aside := filepath.Join(dir, "aside")
		play(t, server, log, []step{
			{"untouched", func() {}, "a", ""},
			{"written in place", func() { b.files(t, dir, "mx") }, "b", "read again"},
			{"the key alone", func() { write(t, p.Key, c.key, 0o600) }, "b", "does not belong"},
			{"still", func() {}, "b", ""},
			{"the certificate, too", func() { write(t, p.Certificate, c.cert, 0o600) }, "c", "read again"},
			{"renamed over", func() {
				write(t, aside, a.cert, 0o600)
				do(t, os.Rename(aside, p.Certificate))
				write(t, aside, a.key, 0o600)
				do(t, os.Rename(aside, p.Key))
			}, "a", "read again"},
			{"half of it", func() { write(t, p.Certificate, b.cert[:len(b.cert)/2], 0o600) }, "a", "cut off"},
			{"broken otherwise", func() { write(t, p.Certificate, nil, 0o600) }, "a", "no certificate"},
			{"gone", func() { do(t, os.Remove(p.Certificate)) }, "a", "no such file"},
			{"still gone", func() {}, "a", ""},
			{"there again", func() { write(t, p.Certificate, a.cert, 0o600) }, "a", "read again"},
			{"moved away", func() { do(t, os.Rename(p.Key, aside)) }, "a", "mx.key: no such file"},
			{"moved back", func() { do(t, os.Rename(aside, p.Key)) }, "a", "in order again"},
			{"a folder", func() { do(t, os.Rename(p.Key, aside)); do(t, os.Mkdir(p.Key, 0o700)) }, "a", "not a regular file"},
			{"no folder", func() { do(t, os.Remove(p.Key)); do(t, os.Rename(aside, p.Key)) }, "a", "in order again"},
		})
	})
}

// TestFollowLinks exchanges links, as certbot does.
func TestFollowLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		ca.issue(t, leaf{cn: "a"}).files(t, dir, "mx1")
		ca.issue(t, leaf{cn: "b"}).files(t, dir, "mx2")
		link := func(to string) {
			for _, ext := range []string{".pem", ".key"} {
				_ = os.Remove(filepath.Join(dir, "live"+ext))
				do(t, os.Symlink(to+ext, filepath.Join(dir, "live"+ext)))
			}
		}
		link("mx1")
		shelf, log := newShelf(t)
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{
			{Certificate: filepath.Join(dir, "live.pem"), Key: filepath.Join(dir, "live.key")},
		}})
		play(t, server, log, []step{
			{"another target", func() { link("mx2") }, "b", "read again"},
			{"the target written", func() { ca.issue(t, leaf{cn: "c"}).files(t, dir, "mx2") }, "c", "read again"},
			{"no target", func() { link("nowhere") }, "c", "no such file"},
			{"the first target", func() { link("mx1") }, "a", "read again"},
		})
	})
}

// TestFollowWaitsForTheWriter has a chain written in pieces, each of them in
// order as it is.
func TestFollowWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		p := ca.issue(t, leaf{cn: "a"}).files(t, dir, "mx")
		shelf, log := newShelf(t)
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}})

		b := ca.issue(t, leaf{cn: "b"})
		write(t, p.Key, b.key, 0o600)
		for _, text := range [][]byte{nil, b.cert, join(b.cert, ca.pem())} {
			write(t, p.Certificate, text, 0o600)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if m := handshake(server.Config(), anyServer("")); m.seen() != "a" {
				t.Errorf("while it is written, the certificate is %q", m.seen())
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m := handshake(server.Config(), anyServer(""))
		if m.seen() != "b" || len(m.client.PeerCertificates) != 2 {
			t.Errorf("in the end it is %q with %d certificates", m.seen(), len(m.client.PeerCertificates))
		}
		if logged := log.Take(); strings.Contains(logged, "ERROR") {
			t.Errorf("the writing was complained of: %s", logged)
		}
	})
}

// TestFollowUnderLoad exchanges files while clients come: each gets one
// certificate or the other, with the right key.
func TestFollowUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		a, b := ca.issue(t, leaf{cn: "a"}), ca.issue(t, leaf{cn: "b"})
		shelf, _ := newShelf(t)
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{a.files(t, dir, "mx")}})

		var clients sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]int{}
		for range 4 {
			clients.Go(func() {
				for range 50 {
					m := handshake(server.Config(), anyServer(""))
					if !m.ok() {
						t.Errorf("%v, %v", m.serverErr, m.clientErr)
					}
					mu.Lock()
					seen[m.seen()]++
					mu.Unlock()
					time.Sleep(5 * time.Second)
				}
			})
		}
		for i := range 8 {
			time.Sleep(30 * time.Second)
			[]made{b, a}[i%2].files(t, dir, "mx")
		}
		clients.Wait()
		if seen["a"] == 0 || seen["b"] == 0 || seen["a"]+seen["b"] != 200 {
			t.Errorf("certificates seen: %v", seen)
		}
	})
}

// TestShared has two configurations with the same files, one of which ends.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		p := ca.issue(t, leaf{cn: "a"}).files(t, dir, "mx")
		shelf, log := newShelf(t)
		old := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}})
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}})
		old.Close()
		old.Close() // once more gives nothing back
		play(t, server, log, []step{{"exchanged", func() { ca.issue(t, leaf{cn: "b"}).files(t, dir, "mx") }, "b", "read again"}})

		// A configuration that is loaded anew has the files as they are now.
		ca.issue(t, leaf{cn: "c"}).files(t, dir, "mx")
		if m := handshake(newServer(t, shelf, certs.Server{Certificates: []certs.Pair{p}}).Config(), anyServer("")); m.seen() != "c" {
			t.Errorf("loaded anew it is %q", m.seen())
		}
		write(t, p.Key, nil, 0o600)
		if _, err := shelf.Server(certs.Server{Certificates: []certs.Pair{p}}); err == nil {
			t.Error("a broken file was loaded anew")
		}
		if m := handshake(server.Config(), anyServer("")); m.seen() != "c" {
			t.Errorf("the one in force is %q", m.seen())
		}
	})
}

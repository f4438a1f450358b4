package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Profiles are served to those who ask for them in the configuration, and for a
// bounded time.
func TestProfiles(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	r := run(t, `admin: {address: ":0", pprof: true}`)
	defer r.stop(t)
	if at := r.AdminAddr().String(); !strings.HasPrefix(at, "127.0.0.1:") {
		t.Errorf("an address without a host is %s", at)
	}
	client := page(nil)
	for _, tc := range []struct {
		method, path string
		status       int
		begins       string
	}{
		{"GET", "/debug/pprof/", 200, "<html>"},
		{"GET", "/debug/pprof/heap", 200, "\x1f\x8b"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile: "},
		{"GET", "/debug/pprof/profile?seconds=1", 200, "\x1f\x8b"},
		{"GET", "/debug/pprof/trace?seconds=0.1", 200, "go 1."},
		{"HEAD", "/debug/pprof/heap", 200, ""},
		{"GET", "/debug/pprof/profile?seconds=301", 400, "A profile may take 300 seconds at most."},
		{"GET", "/debug/pprof/heap?seconds=1e9", 400, "A profile may take 300 seconds at most."},
		{"GET", "/debug/pprof/trace?seconds=NaN", 400, "A profile may take 300 seconds at most."},
		{"GET", "/debug/pprof/cmdline", 404, "There is nothing but /metrics, /healthz, /readyz and /debug/pprof/ here."},
		{"POST", "/debug/pprof/profile", 405, "This can only be read."},
		{"GET", "/debug/pprof", 404, ""},
		{"GET", "/debug/pprof/nothing", 404, ""},
	} {
		status, text := get(t, client, tc.method, "http://"+r.AdminAddr().String()+tc.path)
		if status != tc.status || !strings.HasPrefix(text, tc.begins) {
			t.Errorf("%s %s: %d %.40q, want %d %q", tc.method, tc.path, status, text, tc.status, tc.begins)
		}
	}
}

// Who leaves while a profile is taken does not keep the program from ending.
func TestProfileCutShort(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	r := run(t, `admin: {address: "127.0.0.1:0", pprof: true}`)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for { // until it is its turn
			resp, err := page(nil).Get("http://" + r.AdminAddr().String() + "/debug/pprof/profile?seconds=200")
			if err != nil {
				return
			}
			resp.Body.Close()
		}
	}()
	until(t, "the profile is being taken", func() bool {
		status, _ := get(t, page(nil), http.MethodGet, "http://"+r.AdminAddr().String()+"/debug/pprof/profile?seconds=1")
		return status == http.StatusInternalServerError // one at a time
	})
	r.stop(t)
	<-gone
}

package proxy

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
)

// pages is what the operator can look at.
func (s *Server) pages() http.Handler {
	metrics := s.shared.host.Metrics()
	known := "/metrics, /healthz and /readyz"
	if s.profiles {
		known = "/metrics, /healthz, /readyz and /debug/pprof/"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		profile, profiled := strings.CutPrefix(r.URL.Path, profilesAt)
		var page http.HandlerFunc
		switch {
		case r.URL.Path == "/metrics":
			page = metrics.ServeHTTP
		case r.URL.Path == "/healthz":
			page = healthz
		case r.URL.Path == "/readyz":
			page = s.readyz
		case profiled && s.profiles:
			page = profilePage(profile)
		}
		switch {
		case page == nil:
			http.Error(w, "There is nothing but "+known+" here.", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This can only be read.", http.StatusMethodNotAllowed)
		default:
			page(w, r)
		}
	})
}

// healthz tells that the program serves: it would not answer if it did not.
func healthz(w http.ResponseWriter, _ *http.Request) { says(w, http.StatusOK, "ok") }

// readyz tells whether clients should be sent here, and if not, why.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.Ready(); err != nil {
		says(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	says(w, http.StatusOK, "ok")
}

// says answers with a line or more, which nobody is to remember.
func says(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

const profilesAt = "/debug/pprof/"

// maxProfile is how long a profile may be taken, in seconds.
const maxProfile = 300

// profilePage returns the page of that name; "" is the list of all. The command
// line is none of them: what stands there is for ps to tell.
func profilePage(name string) http.HandlerFunc {
	var page http.HandlerFunc
	switch name {
	case "cmdline":
		return nil
	case "profile":
		page = pprof.Profile
	case "trace":
		page = pprof.Trace
	case "symbol":
		page = pprof.Symbol
	default:
		page = pprof.Index
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.ParseFloat(r.FormValue("seconds"), 64); err == nil && !(n <= maxProfile) {
			says(w, http.StatusBadRequest, fmt.Sprintf("A profile may take %d seconds at most.", maxProfile))
			return
		}
		page(w, r)
	}
}

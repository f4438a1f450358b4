package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	harness "github.com/mailweir/mailweir/proxy/internal/peer"
)

// nginxProgram finds nginx, if it has its module for mail.
func nginxProgram(context.Context, string) (string, error) {
	file := harness.Unpacked("nginx")
	if file == "" {
		return "", fmt.Errorf("nginx: %w", errNotInstalled)
	}
	if _, err := os.Stat(mailModule(file)); err != nil {
		return "", fmt.Errorf("nginx's module for mail: %w", errNotInstalled)
	}
	return file, nil
}

// mailModule is where Debian has the module of an nginx.
func mailModule(nginx string) string {
	return filepath.Join(filepath.Dir(nginx), "../lib/nginx/modules/ngx_mail_module.so")
}

const nginxConfig = `daemon off;
worker_processes %d;
pid %s/pid;
error_log stderr crit;
load_module %s;
%s
events { worker_connections 4096; }
mail {
  server_name relay.test.example;
  auth_http %s/%s;
  proxy_pass_error_message on;
  server {
    listen %s;
    protocol smtp;
    smtp_auth none;
    smtp_capabilities PIPELINING "SIZE 52428800" 8BITMIME;
    xclient off;
  }
}
`

// A guide tells nginx where mail goes: it asks so once in a session. The path of
// the question is the answer.
type guide struct {
	addr string
	stop func() error
}

func startGuide() (*guide, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, port, err := net.SplitHostPort(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			w.Header().Set("Auth-Status", err.Error())
			return
		}
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", host)
		w.Header().Set("Auth-Port", port)
	})}
	go server.Serve(l) // until stop
	return &guide{l.Addr().String(), server.Close}, nil
}

// nginx relays to where the guide says, for clients that need not log in.
func (g *guide) nginx(file, addr, upstream string) ([]string, error) {
	program, err := nginxProgram(context.Background(), "")
	if err != nil {
		return nil, err
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user nobody nogroup;"
	}
	dir := filepath.Dir(file)
	text := fmt.Sprintf(nginxConfig, runtime.NumCPU(), dir, mailModule(program), user, g.addr, upstream, addr)
	return []string{"-p", dir, "-e", "stderr", "-c", file}, os.WriteFile(file, []byte(text), 0o644)
}

package main

import (
	"errors"
	"regexp"
	"strconv"
	"time"

	harness "github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// startPostfix starts a Postfix whose smtpd passes mail on before it has taken
// it, to what Postfix calls a before-queue filter.
func startPostfix(p peer, upstream string) (*runner, error) {
	h := &hold{}
	r := &runner{peer: p, end: h.end}
	var postfix *harness.PostfixInstance
	err := try(func() {
		postfix = harness.Postfix(h, harness.PostfixOptions{Main: map[string]string{
			"smtpd_proxy_filter": upstream,
			"inet_protocols":     "all",
		}})
	})
	if err == nil {
		r.addr = postfix.Addr
		r.proc, err = masterOf(postfix)
	}
	if err != nil {
		h.end()
		return nil, err
	}
	return r, nil
}

// masterOf returns the program whose process group is all of Postfix.
func masterOf(postfix *harness.PostfixInstance) (*proc.Process, error) {
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if found := masterStarted.FindStringSubmatch(postfix.Log()); found != nil {
			pid, err := strconv.Atoi(found[1])
			return &proc.Process{PID: pid}, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.New("no start in the log of Postfix")
}

var masterStarted = regexp.MustCompile(`postfix/master\[([0-9]+)\]: daemon started`)

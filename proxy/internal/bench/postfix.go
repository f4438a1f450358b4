package main

import harness "github.com/mailweir/mailweir/proxy/internal/peer"

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

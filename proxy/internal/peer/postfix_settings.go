package peer

import (
	"maps"
	"net"
	"testing"
)

// TakesXCLIENT are settings of a service of Postfix whose clients on loopback may
// say XCLIENT. It takes mail from whomever they name.
func TakesXCLIENT() map[string]string {
	return open(map[string]string{"smtpd_authorized_xclient_hosts": "127.0.0.0/8"})
}

// TakesXFORWARD are settings of a service whose clients on loopback may say
// XFORWARD.
func TakesXFORWARD() map[string]string {
	return open(map[string]string{"smtpd_authorized_xforward_hosts": "127.0.0.0/8"})
}

// TakesPROXY are settings of a service whose clients must send a PROXY header
// first, of either version.
func TakesPROXY() map[string]string {
	return open(map[string]string{
		"smtpd_upstream_proxy_protocol": "haproxy",
		"smtpd_upstream_proxy_timeout":  "2s",
	})
}

// ImplicitTLS are settings of a service that talks TLS from the first octet. The
// certificate is that of the whole Postfix.
func ImplicitTLS() map[string]string {
	return map[string]string{"smtpd_tls_wrappermode": "yes"}
}

// RequiresTLS are settings of a service that wants STARTTLS first.
func RequiresTLS() map[string]string {
	return map[string]string{"smtpd_tls_security_level": "encrypt"}
}

// Settings puts settings of a service together; the last wins.
func Settings(all ...map[string]string) map[string]string {
	settings := map[string]string{}
	for _, some := range all {
		maps.Copy(settings, some)
	}
	return settings
}

// open adds to the settings of a service that it takes mail from everybody, and
// knows IPv6.
func open(settings map[string]string) map[string]string {
	return Settings(settings, map[string]string{"inet_protocols": "all", "mynetworks": "0.0.0.0/0 [::]/0"})
}

func (o PostfixOptions) relayhost(t testing.TB) map[string]string {
	t.Helper()
	if o.Relayhost == "" {
		return map[string]string{"default_transport": "discard:"}
	}
	host, port := splitAddr(t, o.Relayhost)
	return map[string]string{"relayhost": "[" + host + "]:" + port}
}

func (o PostfixOptions) milter() map[string]string {
	if o.Milter == "" {
		return nil
	}
	settings := map[string]string{"smtpd_milters": o.Milter}
	if o.Default != "" {
		settings["milter_default_action"] = o.Default
	}
	return settings
}

func (o PostfixOptions) tls() map[string]string {
	if o.TLS == nil {
		return nil
	}
	settings := map[string]string{
		"smtpd_tls_security_level":  "may",
		"smtpd_tls_cert_file":       o.TLS.CertFile,
		"smtpd_tls_key_file":        o.TLS.KeyFile,
		"smtpd_tls_loglevel":        "1",
		"smtpd_tls_received_header": "yes",
	}
	if o.TLS.CAFile != "" {
		settings["smtpd_tls_ask_ccert"] = "yes"
		settings["smtpd_tls_CAfile"] = o.TLS.CAFile
	}
	return settings
}

// logins lets Postfix ask Dovecot who may log in.
func (o PostfixOptions) logins() map[string]string {
	if o.Logins == nil {
		return nil
	}
	return map[string]string{
		"smtpd_sasl_auth_enable":          "yes",
		"smtpd_sasl_type":                 "dovecot",
		"smtpd_sasl_path":                 o.Logins.AuthSocket,
		"smtpd_sasl_security_options":     "noanonymous",
		"smtpd_sasl_authenticated_header": "yes",
		"smtpd_sasl_tls_security_options": "noanonymous",
	}
}

// everywhere opens a Postfix in a namespace to all of its network.
func (o PostfixOptions) everywhere() map[string]string {
	if o.Netns == nil {
		return nil
	}
	return open(map[string]string{"inet_interfaces": "all"})
}

// place is how master.cf spells an address where mail is taken: that one only, or
// its port on all addresses of the namespace.
func (o PostfixOptions) place(addr string) string {
	if o.Netns == nil {
		return addr
	}
	_, port, _ := net.SplitHostPort(addr)
	return port
}

package peer

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
)

// dovecotConf is a Dovecot that uses nothing of the machine but the user nobody.
const dovecotConf = `base_dir = %[1]s/base
state_dir = %[1]s/state
log_path = %[1]s/log
instance_name = mailweir-test
protocols = lmtp
hostname = lmtp.test.example
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = daemon
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-256
auth_failure_delay = 0
login_trusted_networks = 127.0.0.0/8
haproxy_trusted_networks = 127.0.0.0/8
auth_verbose = yes
mail_location = maildir:%[1]s/mail/%%u
mail_plugins = quota
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
plugin {
  quota = maildir:User quota
}
service auth {
  unix_listener %[1]s/auth {
    mode = 0666
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service lmtp {
  unix_listener %[1]s/lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    address = %[2]s
    port = %[3]s
  }
  inet_listener lmtp-proxy {
    address = %[2]s
    port = %[4]s
    haproxy = yes
  }
}
`

// configure writes dovecot.conf and the list of users.
func (d *DovecotInstance) configure(t testing.TB, o DovecotOptions) {
	t.Helper()
	host, port, err := net.SplitHostPort(d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	_, behind, err := net.SplitHostPort(d.Behind)
	if err != nil {
		t.Fatal(err)
	}
	nobody := userID(t, "nobody")
	makeDir(t, d.path("state"), 0, 0, 0o755)
	makeDir(t, d.path("mail"), nobody, 0, 0o700)
	conf := fmt.Sprintf(dovecotConf, d.dir, host, port, behind)
	if o.TLS == nil {
		conf += "ssl = no\n"
	} else {
		conf += fmt.Sprintf("ssl = yes\nssl_cert = <%s\nssl_key = <%s\n", o.TLS.CertFile, o.TLS.KeyFile)
	}
	writeFile(t, d.path("dovecot.conf"), conf)
	writeFile(t, d.path("users"), d.users(o, nobody))
}

// users is a passwd-file: a line for each user.
func (d *DovecotInstance) users(o DovecotOptions, uid int) string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(o.Users)) {
		extra := ""
		switch {
		case slices.Contains(o.Full, name):
			extra = "userdb_quota_rule=*:bytes=1"
		case slices.Contains(o.Broken, name):
			extra = "userdb_mail=maildir:" + d.path("users") // which is no directory
		}
		fmt.Fprintf(&lines, "%s:%s:%d:%d::%s::%s\n", name, o.Users[name], uid, uid, d.path("mail", name), extra)
	}
	return lines.String()
}

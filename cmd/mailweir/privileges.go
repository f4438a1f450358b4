package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/proxy/privileges"
	"github.com/mailweir/mailweir/proxy/systemd"
)

// becomeUser begins the program anew as the user of the configuration, with its
// sockets open, if it is root who has started it. Otherwise it goes on, and says
// what is not as it should be. sockets are those that were passed.
func (s *service) becomeUser(sockets []systemd.Socket) error {
	c := s.config
	if os.Geteuid() != 0 {
		s.warnOfUser()
		return nil
	}
	if c.User == "" {
		s.log.Warn("mailweir runs as root: set user, and a fault in it gives nobody the rights of root")
		return nil
	}
	u, err := privileges.Lookup(c.User, c.Group)
	if err != nil {
		return err
	}
	if err := s.checkAs(u); err != nil {
		return err
	}
	opened, err := proxy.OpenSockets(c, sockets, u.UID, s.log)
	if err != nil {
		return err
	}
	return privileges.Become(u, opened, transparent(c))
}

// warnOfUser tells when the program is not who the configuration says.
func (s *service) warnOfUser() {
	if s.config.User == "" {
		return
	}
	if u, err := privileges.Lookup(s.config.User, ""); err != nil || u.UID != os.Geteuid() {
		s.log.Warn("user is not heeded: only root can become another user", "user", s.config.User, "runs_as", privileges.Current())
	}
}

// checkAs has the user check the configuration, before anything is opened: all
// files that it names must be readable for that user, now and at each reload.
func (s *service) checkAs(u privileges.User) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"check"}
	s.cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != takeOverFlag {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	check := privileges.Command(u, program, args...)
	out, err := check.CombinedOutput()
	if err == nil {
		return nil
	}
	if check.ProcessState == nil {
		return fmt.Errorf("user %s cannot run %s: %w", u.Name, program, err)
	}
	return fmt.Errorf("%s\nmailweir was to become user %s: that user, or a group of it, must be able to read the configuration and all files that it names",
		bytes.TrimSpace(out), u.Name)
}

// transparent reports whether upstreams are connected to from the addresses of
// clients, which takes a right of its own.
func transparent(c *configs.Config) bool {
	return slices.ContainsFunc(c.Groups(), func(g configs.Upstream) bool { return g.Identity == configs.Transparent })
}

// warnOfSpool tells when messages that are larger than what is held in memory
// could not be held at all.
func (s *service) warnOfSpool() {
	f, err := os.CreateTemp("", "mailweir-*")
	if err != nil {
		s.log.Warn("large messages cannot be held: set TMPDIR to a folder that mailweir's user may write to",
			"user", privileges.Current(), "error", err)
		return
	}
	f.Close()
	os.Remove(f.Name())
}

// Package privileges gives away what a program needs at its start only. Root
// opens the sockets; then the program begins anew, from its first line, as a
// user who has no rights and can get none. What that user may not read is found
// out at once, not when a certificate is renewed.
package privileges

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// User is whom a program may become.
type User struct {
	Name   string // as it was configured
	UID    int
	GID    int
	Groups []int // GID is among them
}

// Lookup finds a user, by name or number, and the groups it is in. group, by
// name or number, takes the place of its own; "" leaves that. Root is refused.
func Lookup(name, group string) (User, error) {
	u := User{Name: name}
	found, err := findUser(name)
	switch number, notNumber := strconv.Atoi(name); {
	case err == nil:
		u.UID, _ = strconv.Atoi(found.Uid)
		u.GID, _ = strconv.Atoi(found.Gid)
		u.Groups = groupsOf(found)
	case notNumber == nil && number > 0 && group != "": // one without a name, as in containers
		u.UID = number
	case notNumber == nil && number > 0:
		return User{}, fmt.Errorf("user: %q has no name, so its group is not known: set group", name)
	default:
		return User{}, fmt.Errorf("user: there is no user %q: add it, such as with useradd --system --home-dir / --shell /usr/sbin/nologin mailweir", name)
	}
	if group != "" {
		if u.GID, err = findGroup(group); err != nil {
			return User{}, err
		}
	}
	if u.UID == 0 {
		return User{}, errors.New("user: root is who shall be left: name another user")
	}
	if !slices.Contains(u.Groups, u.GID) {
		u.Groups = append(u.Groups, u.GID)
	}
	return u, nil
}

// findUser looks for the name first: it may look like a number.
func findUser(name string) (*user.User, error) {
	if found, err := user.Lookup(name); err == nil {
		return found, nil
	}
	return user.LookupId(name)
}

func findGroup(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(g.Gid)
	}
	if id, err := strconv.Atoi(name); err == nil && id >= 0 {
		return id, nil
	}
	return 0, fmt.Errorf("group: there is no group %q: add it, such as with groupadd --system", name)
}

func groupsOf(u *user.User) []int {
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	var groups []int
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			groups = append(groups, n)
		}
	}
	return groups
}

// Current names the user of this process.
func Current() string {
	id := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

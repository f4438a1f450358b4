package privileges

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLookup finds users by name and number. What is refused is tested with the
// program, which says so.
func TestLookup(t *testing.T) {
	found, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user nobody")
	}
	uid, _ := strconv.Atoi(found.Uid)
	gid, _ := strconv.Atoi(found.Gid)
	for _, test := range []struct {
		name, group string
		uid, gid    int
	}{
		{"nobody", "", uid, gid},
		{found.Uid, "", uid, gid},
		{"nobody", "4321", uid, 4321},
		{"54321", "4321", 54321, 4321},
	} {
		u, err := Lookup(test.name, test.group)
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		if u.Name != test.name || u.UID != test.uid || u.GID != test.gid || !slices.Contains(u.Groups, test.gid) {
			t.Errorf("%+v: %+v", test, u)
		}
	}
}

func TestLookupWrong(t *testing.T) {
	for _, test := range []struct{ name, group, want string }{
		{"root", "", "user: root is who shall be left"},
		{"0", "1", "user: root is who shall be left"},
		{"-1", "1", `user: there is no user "-1"`},
		{"no such user\r\n", "", `user: there is no user "no such user\r\n"`},
		{"54321", "", "set group"},
		{"54321", "no such group", `group: there is no group "no such group"`},
		{"54321", "-1", `group: there is no group "-1"`},
	} {
		if u, err := Lookup(test.name, test.group); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %+v, %v", test, u, err)
		}
	}
}

func TestCurrent(t *testing.T) {
	want := strconv.Itoa(os.Geteuid())
	if u, err := user.Current(); err == nil {
		want = u.Username
	}
	if got := Current(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

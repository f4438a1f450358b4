package configs

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Path returns the name of a file that an option names: relative names start
// where the configuration file is. "" stays as it is.
func (c *Config) Path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}

// A SettingError is what whoever uses a setting has found to be wrong with it,
// such as a file that it names. Explain shows the setting's place.
type SettingError struct {
	Listener string // whose setting it is, by name
	Upstream string // or of which group, by Upstream.Name or UpstreamRef.Name
	Key      string // below it, such as "tls.certificates[0].key"
	Err      error
}

func (e *SettingError) Error() string {
	of := "listener " + e.Listener
	if e.Upstream != "" {
		of = "upstream " + e.Upstream
	}
	return fmt.Sprintf("%s: %s: %v", of, e.Key, e.Err)
}

func (e *SettingError) Unwrap() error { return e.Err }

// ofSetting returns the problem of a setting, where it stands.
func (c *Config) ofSetting(e *SettingError) Problem {
	path := c.pathOf(e)
	if path == "" || c.doc == nil {
		return Problem{Msg: e.Error()}
	}
	return c.doc.At(c.doc.Find(path), e.Key+": "+e.Err.Error(), "")
}

// pathOf returns where in the file a setting is, "" if it is not there.
func (c *Config) pathOf(e *SettingError) string {
	if e.Upstream == "" {
		i := slices.IndexFunc(c.Listeners, func(l Listener) bool { return l.Name == e.Listener })
		if i < 0 {
			return ""
		}
		return fmt.Sprintf("listeners[%d].%s", i, e.Key)
	}
	if i := c.upstream(e.Upstream); i >= 0 {
		return fmt.Sprintf("upstreams[%d].%s", i, e.Key)
	}
	for _, u := range c.uses() {
		if !u.ref.Called && u.ref.Name == e.Upstream {
			return u.path + "." + e.Key
		}
	}
	return ""
}

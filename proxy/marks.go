package proxy

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// marks tell how files were when they were looked at, by name.
type marks map[string]mark

// mark is what tells one state of a file from another.
type mark struct {
	path string      // without links; "" for a file that is not there
	info os.FileInfo // nil for such
}

func lookAt(names []string) marks {
	m := marks{}
	m.add(names)
	return m
}

// add looks at further files.
func (m marks) add(names []string) {
	for _, name := range names {
		var now mark
		if info, err := os.Stat(name); err == nil {
			now.info = info
			now.path, _ = filepath.EvalSymlinks(name)
		}
		m[name] = now
	}
}

func (m marks) names() []string { return slices.Sorted(maps.Keys(m)) }

// earlier takes over how files were before, so that a change is not missed
// while they were read.
func (m marks) earlier(before marks) {
	for name := range m {
		if was, ok := before[name]; ok {
			m[name] = was
		}
	}
}

// changed returns the names of files that both have, and are not as they were.
func (m marks) changed(now marks) []string {
	var names []string
	for name, was := range m {
		if is, ok := now[name]; ok && !was.same(is) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (m marks) same(now marks) bool { return len(m) == len(now) && len(m.changed(now)) == 0 }

// missing reports whether a file is not there, as for a moment when an editor
// saves.
func (m marks) missing() bool {
	for _, is := range m {
		if is.info == nil {
			return true
		}
	}
	return false
}

func (m mark) same(o mark) bool {
	if m.info == nil || o.info == nil {
		return m.info == nil && o.info == nil
	}
	return m.path == o.path && os.SameFile(m.info, o.info) && m.info.Size() == o.info.Size() && m.info.ModTime().Equal(o.info.ModTime())
}

// folders returns where a change of a file shows: in its folder, and in those of
// the links that lead to it. Kubernetes changes all files of a folder at once by
// such a link.
func folders(names []string) []string {
	f := finder{}
	for _, name := range names {
		if path, err := filepath.Abs(name); err == nil {
			f.visit(path, map[string]bool{})
		}
	}
	return slices.Sorted(maps.Keys(f))
}

// maxLinks bounds the paths that links lead to.
const maxLinks = 64

type finder map[string]bool

func (f finder) visit(path string, seen map[string]bool) {
	if seen[path] || len(seen) > maxLinks {
		return
	}
	seen[path] = true
	f[filepath.Dir(path)] = true
	for at := path; at != filepath.Dir(at); at = filepath.Dir(at) {
		target, err := os.Readlink(at)
		if err != nil {
			continue
		}
		f[filepath.Dir(at)] = true
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(at), target)
		}
		f.visit(filepath.Join(target, strings.TrimPrefix(path, at)), seen)
	}
}

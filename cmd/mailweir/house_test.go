package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

// The house rules: how the rooms of this project may know each other, and what
// each of them owes to its readers.

const (
	module = "github.com/mailweir/mailweir"
	top    = "../.."
)

// mayImport is the ladder. A package may import those that its longest
// matching prefix lists, and what lies below itself.
var mayImport = []struct {
	pkg     string
	imports []string
}{
	{"filters", nil},
	{"filters/chain", []string{"filters"}},
	{"filters/standard", []string{"filters", "rules"}}, // and all kinds: see kinds
	{"filters/env", []string{"filters", "filters/internal"}},
	{"filters/filtertest", []string{"filters", "filters/zone"}},
	{"filters/zone", []string{"filters"}},
	{"filters/ipset", []string{"filters/internal"}},
	{"filters/ptr", []string{"filters", "filters/internal"}},
	{"filters/internal", []string{"filters"}},
	{"rules", []string{"filters", "filters/ipset"}},
	{"configs", []string{"filters", "filters/chain", "filters/ipset", "rules", "rules/strict"}},
	{"proxy", []string{"configs", "filters", "filters/chain", "filters/env", "filters/ipset", "proxy/relay", "proxy/milter", "proxy/upstream", "proxy/certs"}},
	{"proxy/smtp", []string{"filters"}},
	{"proxy/systemd", nil},
	{"proxy/privileges", []string{"proxy/systemd"}},
	{"proxy/certs", []string{"filters"}},
	{"proxy/haproxy", []string{"filters", "proxy/smtp"}},
	{"proxy/sasl", nil},
	{"proxy/upstream", []string{"filters", "filters/ptr", "proxy/smtp", "proxy/haproxy", "proxy/internal/peek"}},
	{"proxy/relay", []string{"filters", "filters/chain", "proxy/smtp", "proxy/upstream", "proxy/certs", "proxy/haproxy", "proxy/sasl", "proxy/internal/door", "proxy/internal/peek"}},
	{"proxy/milter", []string{"filters", "filters/chain", "proxy/smtp", "proxy/internal/door"}},
	{"proxy/trial", []string{"filters", "filters/chain", "rules", "proxy/relay", "proxy/upstream", "proxy/smtp"}},
	{"cmd", []string{"proxy", "proxy/smtp", "proxy/trial", "proxy/systemd", "proxy/privileges", "configs", "filters", "filters/chain", "filters/standard", "filters/env", "filters/zone", "filters/dnsbl", "rules", "rules/strict"}},
}

// kind is what a package right below filters may import, unless it is named above.
var kind = []string{"filters", "filters/ipset", "filters/ptr", "filters/internal"}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = top
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var list []listed
	for dec := json.NewDecoder(out); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestImportLadder(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		pkg := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed := allowedFor(pkg)
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				if pkg == "filters" && strings.Contains(imported, ".") {
					t.Errorf("filters imports %s: the vocabulary uses the standard library only", imported)
				}
				continue
			}
			seen++
			if !below(imported, pkg) && !matches(imported, allowed) {
				t.Errorf("%s imports %s, which the ladder forbids", pkg, imported)
			}
		}
	}
	if seen == 0 {
		t.Error("no import was looked at")
	}
}

func allowedFor(pkg string) []string {
	best := -1
	for i, rule := range mayImport {
		if below(pkg, rule.pkg) && (best < 0 || len(rule.pkg) > len(mayImport[best].pkg)) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	allowed := mayImport[best].imports
	switch {
	case mayImport[best].pkg == "filters" && pkg != "filters":
		return kind
	case pkg == "filters/standard":
		for _, k := range standard.Kinds() {
			allowed = append(slices.Clip(allowed), "filters/"+k.Name)
		}
	case strings.Contains(pkg, "/internal/"):
		// A helper may use what the room it helps may.
		room, _, _ := strings.Cut(pkg, "/internal/")
		return append(slices.Clip(allowed), append(allowedFor(room), room)...)
	}
	return allowed
}

// below reports whether pkg is room or lies in it.
func below(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

func matches(pkg string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		return pkg == a || a == "filters/internal" && below(pkg, a) || strings.HasPrefix(pkg, a+"/internal/")
	})
}

func TestTopLevel(t *testing.T) {
	want := []string{".ci", ".git", ".gitignore", "Makefile", "README.md", "bin", "cmd", "configs", "filters", "go.mod", "go.sum", "proxy", "rules"}
	entries, err := os.ReadDir(top)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) {
			t.Errorf("%s does not belong on the top level", e.Name())
		}
	}
}

// TestDocs holds every option of every kind, and of the configuration, to tell
// what it is.
func TestDocs(t *testing.T) {
	for _, k := range standard.Kinds() {
		if k.Doc == "" {
			t.Errorf("kind %s has no manual", k.Name)
		}
		undocumented(t, "kind "+k.Name, configs.Options(k.Conf()))
		for _, f := range k.Sets {
			if f.Doc == "" {
				t.Errorf("fact %s of kind %s is not described", f.Name, k.Name)
			}
		}
	}
	undocumented(t, "the configuration", configs.Options(configs.Config{}))
}

func undocumented(t *testing.T, where string, options []configs.Option) {
	for _, o := range options {
		if o.Doc == "" {
			t.Errorf("option %s of %s has no doc tag", o.Name, where)
		}
		undocumented(t, where+", "+o.Name, o.Keys)
	}
}

// TestNoInit forbids init functions: what a program does is written where it
// starts.
func TestNoInit(t *testing.T) {
	eachFile(t, func(path string, f *ast.File) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function", path)
			}
		}
	})
}

// TestExportedDocs holds every exported name to have a comment.
func TestExportedDocs(t *testing.T) {
	eachFile(t, func(path string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || f.Name.Name == "main" {
			return
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					t.Errorf("%s: func %s has no comment", path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: type %s has no comment", path, ts.Name.Name)
					}
				}
			}
		}
	})
}

// exportedReceiver reports whether d is a function or a method that outsiders
// see; those of the error interface explain themselves.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	if slices.Contains([]string{"Error", "Unwrap"}, d.Name.Name) {
		return false
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}

func eachFile(t *testing.T, do func(path string, f *ast.File)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files++
		do(path, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no file was read")
	}
}

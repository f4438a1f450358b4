package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/rules"
	"github.com/mailweir/mailweir/rules/strict"
)

// ruleSuite is a rule file with its tests.
type ruleSuite struct {
	file   string // as messages call it
	policy *rules.Policy
	tests  []ruleTest
	player testPlayer
	limit  time.Duration // of one test
}

// ruleTest is a test, and where it stands.
type ruleTest struct {
	*rules.Test
	file string // as messages call it
	dir  string // where names of message files start
}

// place is where the test stands: file:line.
func (t *ruleTest) place() string {
	line, _ := t.Place()
	return fmt.Sprintf("%s:%d", t.file, line)
}

// testLimit bounds one test. Rules may let a client wait 30s at a stage.
const testLimit = time.Minute

// targets finds the rule files that are to be tested, the directory where their
// names start, and who plays their tests.
func (q *testQuestion) targets(cmd *cobra.Command) (targets []target, dir string, player testPlayer, err error) {
	for _, name := range q.files {
		targets = append(targets, targetOf(name))
	}
	if !q.whole {
		return targets, "", alone{}, nil
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, "", nil, err
	}
	if err := proxy.Check(cfg, slog.New(slog.DiscardHandler)); err != nil {
		return nil, "", nil, fail(err)
	}
	targets, err = inChain(cfg, targets)
	return targets, cfg.Dir, &wholeChain{cfg}, fail(err)
}

// target is a rule file that is to be tested.
type target struct {
	file string
	only bool // the tests beside it
}

// targetOf returns what the name of a rule file, or of a file of tests, asks for.
func targetOf(name string) target {
	ext := filepath.Ext(name)
	if base, ok := strings.CutSuffix(strings.TrimSuffix(name, ext), testSuffix); ok {
		return target{base + ext, true}
	}
	return target{file: name}
}

const testSuffix = "_test"

// testsBeside returns the name of the file of tests of a rule file.
func testsBeside(name string) string {
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + testSuffix + ext
}

// inChain returns the targets with the names that the chain has for them; all
// rule files of the chain if there are none.
func inChain(cfg *configs.Config, named []target) (all []target, err error) {
	var files []string
	for _, spec := range cfg.Chain {
		if conf, ok := spec.Conf.(*rules.Config); ok && conf.File != "" && !slices.Contains(files, conf.File) {
			files = append(files, conf.File)
			all = append(all, target{file: conf.File})
		}
	}
	if len(files) == 0 {
		return nil, errors.New("the chain of the configuration names no rule file: add an entry such as - rules: {file: inbound.yaml}")
	}
	if len(named) == 0 {
		return all, nil
	}
	for i, t := range named {
		at := slices.IndexFunc(files, func(file string) bool { return samePath(inDir(cfg.Dir, file), t.file) })
		if at < 0 {
			return nil, fmt.Errorf("%s: the chain of the configuration does not name this rule file, but %s", t.file, strings.Join(files, ", "))
		}
		named[i].file = files[at]
	}
	return named, nil
}

func inDir(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

func samePath(a, b string) bool {
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// newSuite loads a rule file and its tests. Relative names start in dir.
func newSuite(dir string, t target, player testPlayer) (*ruleSuite, error) {
	if _, err := os.Stat(inDir(dir, t.file)); err != nil {
		return nil, err
	}
	p, err := rules.Load(rules.Options{Dir: dir}, t.file)
	if err != nil {
		return nil, err
	}
	s := &ruleSuite{file: t.file, policy: p, player: player, limit: testLimit}
	if !t.only {
		s.add(p.Tests(), t.file, dir)
	}
	return s, s.addBeside(testsBeside(t.file), dir, t.only)
}

func (s *ruleSuite) add(tests []rules.Test, file, dir string) {
	for i := range tests {
		s.tests = append(s.tests, ruleTest{&tests[i], file, filepath.Dir(inDir(dir, file))})
	}
}

// addBeside adds the tests of a file that need not be there unless it is named.
func (s *ruleSuite) addBeside(file, dir string, named bool) error {
	f, err := os.Open(inDir(dir, file))
	if errors.Is(err, os.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, strict.MaxSize+1))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	tests, err := s.policy.ParseTests(file, data)
	if err != nil {
		return err
	}
	s.add(tests, file, dir)
	return nil
}

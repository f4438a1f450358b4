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

// targets finds the rule files that are to be tested, and who plays their tests.
func (q *testQuestion) targets(cmd *cobra.Command) (targets []target, player testPlayer, err error) {
	for _, name := range q.files {
		targets = append(targets, targetOf(name))
	}
	if !q.whole {
		return targets, alone{}, nil
	}
	cfg, err := loadConfig(cmd)
	if err != nil {
		return nil, nil, err
	}
	if err := proxy.CheckChain(cfg, slog.New(slog.DiscardHandler)); err != nil {
		return nil, nil, fail(err)
	}
	targets, err = inChain(cfg, targets)
	return targets, &wholeChain{cfg}, fail(err)
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

// inChain returns the targets as files of the chain; all of its rule files if
// there are none.
func inChain(cfg *configs.Config, named []target) (all []target, err error) {
	var files []string
	for _, spec := range cfg.Chain {
		if conf, ok := spec.Conf.(*rules.Config); ok && conf.File != "" && !slices.Contains(files, conf.File) {
			files = append(files, conf.File)
			all = append(all, target{file: inDir(cfg.Dir, conf.File)})
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
		named[i].file = all[at].file
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

// newSuite loads a rule file and its tests.
func newSuite(t target, player testPlayer) (*ruleSuite, error) {
	if _, err := os.Stat(t.file); err != nil {
		return nil, err
	}
	p, err := rules.Load(rules.Options{}, t.file)
	if err != nil {
		return nil, err
	}
	s := &ruleSuite{file: t.file, policy: p, player: player, limit: testLimit}
	if !t.only {
		s.add(p.Tests(), t.file)
	}
	return s, s.addBeside(testsBeside(t.file), t.only)
}

func (s *ruleSuite) add(tests []rules.Test, file string) {
	for i := range tests {
		s.tests = append(s.tests, ruleTest{&tests[i], file, filepath.Dir(file)})
	}
}

// addBeside adds the tests of a file that need not be there unless it is named.
func (s *ruleSuite) addBeside(file string, named bool) error {
	f, err := os.Open(file)
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
	s.add(tests, file)
	return nil
}

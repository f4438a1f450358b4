package configs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

// TestExamples loads what we tell people to write.
func TestExamples(t *testing.T) {
	for _, file := range glob(t, "examples/*.yaml") {
		t.Run(file, func(t *testing.T) {
			c, err := configs.Load(standard.Kinds(), configs.Source{File: file})
			if err != nil {
				t.Fatal(err)
			}
			build(t, c)
		})
	}
}

// yamlBlock is a block of YAML in Markdown that begins with a key of the
// configuration.
var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n((?:listeners|chain):\n.*?)^```$")

// TestDocs loads the blocks of configuration in the docs.
func TestDocs(t *testing.T) {
	files := append(glob(t, "../cmd/mailweir/docs/*.md"), glob(t, "../README.md")...)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if _, err := configs.Parse(standard.Kinds(), file, []byte(whole(block[1]))); err != nil {
				t.Errorf("%s: in\n%s\n%v", file, block[1], err)
			}
		}
	}
}

// TestManuals loads the examples in the kinds' manuals.
func TestManuals(t *testing.T) {
	for _, kind := range standard.Kinds() {
		_, rest, ok := strings.Cut(kind.Doc, "\nExample:\n\n")
		if !ok {
			t.Errorf("%s: its manual has no example", kind.Name)
			continue
		}
		example, _, _ := strings.Cut(rest, "\n\n")
		if _, err := configs.Parse(standard.Kinds(), kind.Name, []byte(whole("chain:\n"+example+"\n"))); err != nil {
			t.Errorf("%s: %v", kind.Name, err)
		}
	}
}

// listener completes what shows a chain alone.
const listener = `listeners:
  - {name: mx, address: ":25", upstream: {address: "127.0.0.1:10025"}}
`

func whole(block string) string {
	if strings.Contains(block, "listeners:\n") {
		return block
	}
	return block + listener
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

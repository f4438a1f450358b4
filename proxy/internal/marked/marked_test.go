package marked_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/internal/marked"
)

func TestRewrite(t *testing.T) {
	const begin, end, other = "<!-- a:begin -->\n", "<!-- a:end -->\n", "<!-- b:begin -->\nkept\n<!-- b:end -->\n"
	for _, test := range []struct{ old, want string }{
		{"head\n" + begin + "old\n" + end + other, "head\n" + begin + "new\n" + end + other},
		{other + begin + end, other + begin + "new\n" + end},
		{begin + "old\n", ""},
		{end + begin, ""},
		{other, ""},
	} {
		file := filepath.Join(t.TempDir(), "a.md")
		if err := os.WriteFile(file, []byte(test.old), 0o644); err != nil {
			t.Fatal(err)
		}
		err := marked.Rewrite(file, "a", "new\n")
		got, _ := os.ReadFile(file)
		if test.want == "" {
			if err == nil || string(got) != test.old {
				t.Errorf("%q, which lacks a mark, has become %q: %v", test.old, got, err)
			}
			continue
		}
		if diff := cmp.Diff(test.want, string(got)); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

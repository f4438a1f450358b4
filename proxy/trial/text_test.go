package trial

import "testing"

func TestWireForm(t *testing.T) {
	for text, want := range map[string]string{
		"":            "",
		"\n":          "\r\n",
		"a":           "a\r\n",
		"a\nb\r\nc":   "a\r\nb\r\nc\r\n",
		"\n\na\n":     "\r\n\r\na\r\n",
		"a\rb\n":      "a\rb\r\n",
		"a\r\r\nb\r":  "a\r\r\nb\r\r\n",
		"\r\n.\r\n\n": "\r\n.\r\n\r\n",
	} {
		if got := string(wireForm([]byte(text))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		var pieces []byte
		var last byte
		for i := range len(text) { // as if typed octet by octet
			pieces, last = appendCRLF(pieces, []byte(text[i:i+1]), last)
		}
		if whole, _ := appendCRLF(nil, []byte(text), 0); string(pieces) != string(whole) {
			t.Errorf("%q in pieces: %q, want %q", text, pieces, whole)
		}
	}
}

package configs

import (
	"fmt"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// quarantine is how an entry sets messages aside where there is no MTA to do
// it, or in its place.
type quarantine struct {
	Header   headerField `yaml:"header" doc:"a header field to add to the message, such as \"X-Quarantine: yes\""`
	Redirect mailbox     `yaml:"redirect" doc:"an address that gets the message instead of its recipients"`
}

func (q quarantine) spec() chain.Quarantine {
	return chain.Quarantine{Field: filters.AddField(q.Header), Redirect: string(q.Redirect)}
}

// headerField is a header field as it stands in a message.
type headerField filters.AddField

// UnmarshalText reads "Name: value".
func (f *headerField) UnmarshalText(text []byte) error {
	h := filters.ParseHeader(string(text) + "\r\n")
	if len(h) != 1 || strings.TrimSpace(h[0].Value) == "" {
		return fmt.Errorf("%q is no header field: write Name: value", text)
	}
	*f = headerField{Name: h[0].Name, Value: strings.TrimSpace(h[0].Value)}
	return nil
}

// MarshalText writes the field.
func (f headerField) MarshalText() ([]byte, error) {
	if f.Name == "" {
		return nil, nil
	}
	return []byte(f.Name + ": " + f.Value), nil
}

// mailbox is a mail address, as a path with its angle brackets.
type mailbox string

// UnmarshalText reads an address without its brackets.
func (m *mailbox) UnmarshalText(text []byte) error {
	local, domain, ok := strings.Cut(string(text), "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(string(text), " \t<>\r\n\x00") {
		return fmt.Errorf("%q is no address: write user@example.com", text)
	}
	*m = mailbox("<" + string(text) + ">")
	return nil
}

// MarshalText writes the address without its brackets.
func (m mailbox) MarshalText() ([]byte, error) {
	return []byte(strings.Trim(string(m), "<>")), nil
}

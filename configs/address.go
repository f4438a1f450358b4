package configs

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/mailweir/mailweir/rules/strict"
)

// ServerAddress is where MTAs are to be found. The zero value is none.
type ServerAddress struct {
	Kind ServerKind
	Host string // name or IP address of AtHost, the whole name of BySRV, the domain of ByMX
	Port uint16 // of AtHost and ByMX
	Path string // of AtSocket
}

// ServerKind is how a server is found.
type ServerKind uint8

// The ways to find servers.
const (
	AtHost   ServerKind = iota // at the addresses of a name, or at one address
	AtSocket                   // at a Unix socket
	BySRV                      // at the hosts and ports of SRV records (RFC 2782)
	ByMX                       // at the mail exchangers of a domain (RFC 5321 section 5.1)
)

// smtpPort is where mail exchangers listen (RFC 5321 section 4.5.4.2).
const smtpPort = 25

// ParseServerAddress reads host:port, unix:/path, srv:_service._proto.domain,
// mx:domain or mx:domain:port.
func ParseServerAddress(s string) (ServerAddress, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	if _, err := strconv.Atoi(rest); err == nil {
		scheme = "" // hosts may be called unix, srv or mx
	}
	switch scheme {
	case "unix":
		if msg := strict.Wrong("socket", s); msg != "" {
			return ServerAddress{}, errors.New(msg)
		}
		return ServerAddress{Kind: AtSocket, Path: rest}, nil
	case "srv":
		return parseSRV(rest)
	case "mx":
		return parseMX(rest)
	}
	if msg := strict.Wrong("dial", s); msg != "" {
		return ServerAddress{}, errors.New(msg)
	}
	host, port, _ := net.SplitHostPort(s) // both have been looked at
	n, _ := strconv.Atoi(port)
	return ServerAddress{Host: host, Port: uint16(n)}, nil
}

// parseSRV reads the name of SRV records: _service._proto.domain.
func parseSRV(name string) (ServerAddress, error) {
	labels := strings.SplitN(name, ".", 3)
	if len(labels) < 3 || len(labels[0]) < 2 || len(labels[1]) < 2 || labels[0][0] != '_' || labels[1][0] != '_' || !isDomain(labels[2]) {
		return ServerAddress{}, fmt.Errorf("want the name of SRV records behind srv:, such as _smtp._tcp.example.org, got %q", name)
	}
	if msg := strict.Wrong("host", name); msg != "" {
		return ServerAddress{}, errors.New(msg)
	}
	return ServerAddress{Kind: BySRV, Host: name}, nil
}

// parseMX reads a domain, and a port if it is not that of SMTP.
func parseMX(s string) (ServerAddress, error) {
	domain, port, other := strings.Cut(s, ":")
	n := uint64(smtpPort)
	if other {
		var err error
		if n, err = strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return ServerAddress{}, fmt.Errorf("want a port number after the last colon, got %q", port)
		}
	}
	if !isDomain(domain) {
		return ServerAddress{}, fmt.Errorf("want a mail domain behind mx:, such as example.org, got %q", domain)
	}
	return ServerAddress{Kind: ByMX, Host: domain, Port: uint16(n)}, nil
}

// UnmarshalText reads what ParseServerAddress does.
func (a *ServerAddress) UnmarshalText(text []byte) (err error) {
	*a, err = ParseServerAddress(string(text))
	return err
}

// MarshalText spells the address as it is written in a file.
func (a ServerAddress) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String spells the address as it is written in a file, "" for none.
func (a ServerAddress) String() string {
	switch {
	case a == ServerAddress{}:
		return ""
	case a.Kind == AtSocket:
		return "unix:" + a.Path
	case a.Kind == BySRV:
		return "srv:" + a.Host
	case a.Kind == ByMX && a.Port == smtpPort:
		return "mx:" + a.Host
	case a.Kind == ByMX:
		return fmt.Sprintf("mx:%s:%d", a.Host, a.Port)
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

package smtp

import (
	"net/netip"
	"strconv"
	"strings"
)

// XAttr is a set of the attributes of XCLIENT.
type XAttr uint16

// The attributes of XCLIENT, of the same names.
const (
	XName XAttr = 1 << iota
	XReverseName
	XAddr
	XPort
	XProto
	XHelo
	XLogin
	XDestAddr
	XDestPort
)

// XStatus is why a name is not known.
type XStatus uint8

// What an attribute of XCLIENT may say in place of a name.
const (
	XKnown       XStatus = iota
	XUnavailable         // [UNAVAILABLE]: there is none, or no looking it up
	XTempUnavail         // [TEMPUNAVAIL]: the lookup failed for the time being
)

// XClient is what an XCLIENT command tells of a client
// (https://www.postfix.org/XCLIENT_README.html). A value that was given as
// unavailable is zero.
type XClient struct {
	Has XAttr // which attributes were given

	Name, ReverseName             string // the client's name, verified, and that which its address has
	NameStatus, ReverseNameStatus XStatus
	Addr                          netip.Addr // the client's
	Port                          uint16
	Dest                          netip.Addr // the address that it connected to
	DestPort                      uint16
	Proto                         string // SMTP or ESMTP
	Helo                          string // printable
	Login                         string // who has logged in, printable
}

// Given reports whether the attribute was given.
func (x *XClient) Given(a XAttr) bool { return x.Has&a != 0 }

// ParseXClient reads the arguments of XCLIENT. An error is a Fault.
func ParseXClient(args []byte) (XClient, error) {
	attrs, err := ParseAttrs(args)
	if err != nil {
		return XClient{}, err
	}
	var x XClient
	for _, a := range attrs {
		if err := x.read(a); err != nil {
			return XClient{}, err
		}
	}
	return x, nil
}

// read reads one attribute.
func (x *XClient) read(a Attr) (err error) {
	none := strings.EqualFold(a.Value, "[UNAVAILABLE]")
	var has XAttr
	switch a.Name {
	case "NAME":
		has = XName
		x.Name, x.NameStatus, err = xname(a, none)
	case "REVERSE_NAME":
		has = XReverseName
		x.ReverseName, x.ReverseNameStatus, err = xname(a, none)
	case "ADDR":
		has = XAddr
		x.Addr, err = xaddr(a, none)
	case "PORT":
		has = XPort
		x.Port, err = xport(a, none)
	case "DESTADDR":
		has = XDestAddr
		x.Dest, err = xaddr(a, none)
	case "DESTPORT":
		has = XDestPort
		x.DestPort, err = xport(a, none)
	case "PROTO":
		has = XProto
		x.Proto, err = xproto(a)
	case "HELO":
		has = XHelo
		x.Helo = xtold(a, none)
	case "LOGIN":
		has = XLogin
		x.Login = xtold(a, none)
	default:
		return Fault("unknown attribute " + a.Name)
	}
	x.Has |= has
	return err
}

func xname(a Attr, none bool) (string, XStatus, error) {
	switch {
	case none:
		return "", XUnavailable, nil
	case strings.EqualFold(a.Value, "[TEMPUNAVAIL]"):
		return "", XTempUnavail, nil
	case !HostName(a.Value):
		return "", XKnown, Fault("bad " + a.Name + ": not a host name")
	}
	return a.Value, XKnown, nil
}

// xaddr reads an address. One of IPv6 has a tag before it, so that nobody
// takes the one family for the other.
func xaddr(a Attr, none bool) (netip.Addr, error) {
	if none {
		return netip.Addr{}, nil
	}
	const tag = "IPV6:"
	value, six := a.Value, false
	if len(value) > len(tag) && strings.EqualFold(value[:len(tag)], tag) {
		value, six = value[len(tag):], true
	}
	addr, err := netip.ParseAddr(value)
	if err != nil || addr.Is6() != six || addr.Zone() != "" {
		return netip.Addr{}, Fault("bad " + a.Name + ": neither an IPv4 address nor IPV6: and an IPv6 address")
	}
	return addr.Unmap(), nil
}

func xport(a Attr, none bool) (uint16, error) {
	if none {
		return 0, nil
	}
	port, err := strconv.ParseUint(a.Value, 10, 16)
	if err != nil || a.Value[0] == '0' {
		return 0, Fault("bad " + a.Name + ": not a number from 1 to 65535")
	}
	return uint16(port), nil
}

func xproto(a Attr) (string, error) {
	proto := strings.ToUpper(a.Value)
	if proto != "SMTP" && proto != "ESMTP" {
		return "", Fault("bad " + a.Name + ": neither SMTP nor ESMTP")
	}
	return proto, nil
}

func xtold(a Attr, none bool) string {
	if none {
		return ""
	}
	return a.Value
}

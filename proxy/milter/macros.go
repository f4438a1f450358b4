package milter

import (
	"net/netip"
	"strconv"
	"strings"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
)

// macros are what an MTA is asked to tell with its events. Sendmail takes no
// more than 50 at a stage. Without them:
//
//	{client_addr} {client_port}   what the connect event says
//	{client_name}                 no name, for only this one has been verified
//	{daemon_addr} {daemon_port}   {if_addr} and no port, or no address
//	j                             the configured hostname
//	{daemon_name}                 no name
//	{tls_version} {cipher}        no encryption
//	{auth_type} {auth_authen}     nobody logged in
//	{mail_addr} {rcpt_addr}       what the event says: see readPath
//	i                             no queue id
var macros = map[lib.MacroStage][]lib.MacroName{
	lib.StageConnect: {
		lib.MacroClientAddr, lib.MacroClientPort, lib.MacroClientName,
		lib.MacroDaemonName, lib.MacroDaemonAddr, lib.MacroDaemonPort, lib.MacroIfAddr, lib.MacroMTAFQDN,
	},
	lib.StageHelo: {lib.MacroTlsVersion, lib.MacroCipher},
	lib.StageMail: {lib.MacroQueueId, lib.MacroAuthType, lib.MacroAuthAuthen, lib.MacroMailAddr, lib.MacroTlsVersion, lib.MacroCipher},
	lib.StageRcpt: {lib.MacroQueueId, lib.MacroRcptAddr},
	lib.StageData: {lib.MacroQueueId},
	lib.StageEOH:  {lib.MacroQueueId},
	lib.StageEOM:  {lib.MacroQueueId},
}

// macroRequests are the options that ask for them.
func macroRequests() []lib.Option {
	var options []lib.Option
	for stage, names := range macros {
		options = append(options, lib.WithMacroRequest(stage, names))
	}
	return options
}

// clientAddr is the client as the connect event has it: no address when it came
// by other ways than TCP.
func clientAddr(m lib.Macros, address string, port uint16) netip.AddrPort {
	addr, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil {
		addr = macroAddr(m, lib.MacroClientAddr)
	}
	if port == 0 {
		port = macroPort(m, lib.MacroClientPort)
	}
	if !addr.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), port)
}

// localAddr is the address that the client connected to.
func localAddr(m lib.Macros) netip.AddrPort {
	addr := macroAddr(m, lib.MacroDaemonAddr)
	if !addr.IsValid() || addr.IsUnspecified() {
		addr = macroAddr(m, lib.MacroIfAddr)
	}
	if !addr.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, macroPort(m, lib.MacroDaemonPort))
}

// macroAddr reads an address, which may be tagged as Sendmail does it.
func macroAddr(m lib.Macros, name lib.MacroName) netip.Addr {
	text := strings.TrimPrefix(strings.Trim(m.Get(name), "[]"), "IPv6:")
	addr, _ := netip.ParseAddr(text) // the zero Addr when it is none
	return addr.Unmap()
}

func macroPort(m lib.Macros, name lib.MacroName) uint16 {
	n, _ := strconv.ParseUint(m.Get(name), 10, 16)
	return uint16(n)
}

// clientName is the client's name if the MTA has verified it, else "".
func clientName(m lib.Macros) string {
	name := m.Get(lib.MacroClientName)
	if name == "unknown" || strings.HasPrefix(name, "[") {
		return ""
	}
	return name
}

// tlsOf is the encryption of the client's connection.
func tlsOf(m lib.Macros) filters.TLS {
	return filters.TLS{Version: m.Get(lib.MacroTlsVersion), Cipher: m.Get(lib.MacroCipher)}
}

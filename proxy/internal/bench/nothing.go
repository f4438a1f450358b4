package main

import (
	"net"
	"os"
	"strconv"

	lib "github.com/d--j/go-milter"
)

// doNothing is the first argument that makes this program a milter that does
// nothing. The next ones are its socket and what it asks of the MTA.
const doNothing = "do-nothing-milter"

// serveNothing agrees to everything at a Unix socket.
func serveNothing(path, protocol string) error {
	asked, err := strconv.ParseUint(protocol, 10, 32)
	if err != nil {
		return err
	}
	socket, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return err
	}
	return lib.NewServer(
		lib.WithMilter(func() lib.Milter { return lib.NoOpMilter{} }),
		lib.WithProtocols(lib.OptProtocol(asked)),
	).Serve(socket)
}

// nothing is that milter as a peer.
func nothing(protocol lib.OptProtocol) peer {
	return peer{
		name: "nothing",
		configure: func(_, addr, _ string) ([]string, error) {
			return []string{doNothing, addr, strconv.FormatUint(uint64(protocol), 10)}, nil
		},
	}
}

// askedBy returns what a milter asks of an MTA that offers everything: which
// events to leave out, and which not to wait for.
func askedBy(path string) (lib.OptProtocol, error) {
	session, err := lib.NewClient("unix", path).Session(nil)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	var asked lib.OptProtocol
	for option := lib.OptNoConnect; option <= lib.OptHeaderLeadingSpace; option <<= 1 {
		if session.ProtocolOption(option) {
			asked |= option
		}
	}
	// The library's milter would skip more than mailweir does.
	return asked &^ lib.OptSkip, nil
}

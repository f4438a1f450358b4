package smtp

import (
	"bytes"
	"io"
)

// Stuff writes content as the text of a message: dot-stuffed, a last line
// ended, the end mark behind it (RFC 5321 section 4.5.2). It reads in windows
// and writes each at once. Line ends must be CRLF already.
//
// If reading fails nothing ends the text: the connection must be closed.
func Stuff(w io.Writer, content io.Reader) error {
	window := windows.Get().(*[windowSize]byte)
	defer windows.Put(window)
	var out []byte
	tail := [2]byte{'\r', '\n'} // the last octets written
	for {
		n, err := io.ReadFull(content, window[:])
		out = appendStuffed(out[:0], window[:n], &tail)
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		if last {
			if string(tail[:]) != "\r\n" {
				out = append(out, '\r', '\n')
			}
			out = append(out, endMark...)
		}
		if _, err := w.Write(out); err != nil || last {
			return err
		}
	}
}

// appendStuffed appends content in wire form. tail is what came before it.
func appendStuffed(dst, content []byte, tail *[2]byte) []byte {
	for len(content) > 0 {
		if content[0] == '.' && string(tail[:]) == "\r\n" {
			dst = append(dst, '.')
		}
		line := content
		if i := bytes.IndexByte(content, '\n'); i >= 0 {
			line = content[:i+1]
		}
		dst = append(dst, line...)
		if n := len(line); n >= 2 {
			tail[0], tail[1] = line[n-2], line[n-1]
		} else {
			tail[0], tail[1] = tail[1], line[0]
		}
		content = content[len(line):]
	}
	return dst
}

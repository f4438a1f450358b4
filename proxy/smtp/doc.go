// Package smtp is the wire: command lines, replies, paths and the text of
// messages (RFC 5321), read strictly and written canonically. It knows no
// sockets and no policy.
//
// One rule governs it: there is one reading of the bytes. A line ends with
// CRLF and nothing else, a message ends with CRLF "." CRLF and nothing else,
// and whatever another parser could read differently is reported as a fault.
package smtp

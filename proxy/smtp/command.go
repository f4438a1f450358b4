package smtp

import "bytes"

// Command is one command line, cut into verb and rest. Its slices are parts of
// the line that was parsed, and valid as long as that.
type Command struct {
	Verb Verb
	Word []byte // the verb as the client wrote it
	Args []byte // what follows it, without white space around
}

// ParseCommand cuts a line (without its CRLF) at the first white space. Any
// line is a command; one that makes no sense has the verb Unknown.
func ParseCommand(line []byte) Command {
	line = bytes.TrimRight(line, " \t")
	word, args := line, []byte(nil)
	if i := bytes.IndexAny(line, " \t"); i >= 0 {
		word, args = line[:i], bytes.TrimLeft(line[i:], " \t")
	}
	return Command{Verb: parseVerb(word), Word: word, Args: args}
}

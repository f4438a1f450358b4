package sasl

// Read decodes a line and has find look at it.
func Read(line []byte, find func(message []byte) []byte) string { return read(line, find) }

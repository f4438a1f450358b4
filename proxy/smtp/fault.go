package smtp

// Fault is something in the client's input that has no place there. Its text
// can be shown to the client.
type Fault string

func (f Fault) Error() string { return string(f) }

// What Reader.ReadLine and Text.Next report.
const (
	BareLF      Fault = "bare LF: lines must end with CR LF"
	BareCR      Fault = "bare CR: lines must end with CR LF"
	NUL         Fault = "NUL octet"
	LineTooLong Fault = "line too long"
	TooMuchJunk Fault = "line without end"
)

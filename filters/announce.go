package filters

// Announcer is a filter whose limits the client should learn from the EHLO
// reply instead of from a refusal. It is asked once, when the chain is built.
type Announcer interface {
	Announce(*Announcement)
}

// Announcement is what a chain wants the EHLO reply to say. It narrows what
// the upstream offers and never adds to it.
type Announcement struct {
	Size  int64    // greatest message in octets (RFC 1870), 0 for no limit
	Rcpts int      // most recipients in a transaction (RFC 9422 RCPTMAX), 0 for no limit
	Hide  []string // keywords not to offer, such as VRFY
}

// LimitSize lowers the greatest size to n octets. 0 is no limit.
func (a *Announcement) LimitSize(n int64) {
	if n > 0 && (a.Size == 0 || n < a.Size) {
		a.Size = n
	}
}

// LimitRcpts lowers the most recipients to n. 0 is no limit.
func (a *Announcement) LimitRcpts(n int) {
	if n > 0 && (a.Rcpts == 0 || n < a.Rcpts) {
		a.Rcpts = n
	}
}

package upstream

import "time"

// RecipientOptions says how refused recipients are remembered.
type RecipientOptions struct {
	TTL     time.Duration // how long a refusal holds
	Refresh time.Duration // after which it is asked for anew
	Entries int           // most of them
}

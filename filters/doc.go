// Package filters is the vocabulary that mailweir's filters, chain and front
// ends share: the stages of an SMTP dialogue, what is known about a session
// and its mail transaction, and the verdicts a filter may give.
//
// A filter finds; the chain settles what to do about it. A filter therefore
// never writes to a client, never sleeps without a context, and does not know
// whether it is asked by the relay or by the milter.
//
// The package imports the standard library only, so that a kind of filter
// depends on nothing but these words.
package filters

// Package strict reads YAML into structs and leaves nothing unsaid: it reports
// all that is wrong with a file at once, each problem with its place, a caret
// under it, and a hint where there is one.
//
// The struct tags are:
//
//	yaml      the key; ",inline" takes a nested struct's keys as one's own
//	doc       what the option is, for manual and sample
//	required  "true" when the key must be there
//	min, max  bounds of a number or duration, both allowed
//	format    what a text must look like, see formats
//	secret    "true" when problems must not show the value
//
// A struct that implements encoding.TextUnmarshaler and has yaml tags is written
// either as the text that it reads or as a map of its keys.
//
// Null and an absent key leave a field as it was: its default.
package strict

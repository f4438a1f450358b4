// Package rules reads a policy that administrators write in YAML, and asks it:
// lists, rules over what is known of session, transaction and message, and sets
// of rules for some recipients or listeners.
//
// A Policy is itself a filter. It is compiled once: each rule is asked at the
// earliest stage at which all that it mentions is known, and an index over the
// most telling of its matchers keeps a thousand rules as cheap as a few.
// Evaluation does not allocate while no rule matches, expressions and facts
// aside.
package rules

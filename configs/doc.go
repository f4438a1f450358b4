// Package configs reads mailweir's configuration: one YAML file, over which
// the environment and flags lay the settings of the process.
//
// A configuration is checked whole before it is used. All that is wrong with
// it is reported at once, each problem with file, line and column.
package configs

//go:build !linux

package systemd

// Reloading tells that the configuration is being loaded again; Ready ends it.
func Reloading() string { return "RELOADING=1" }

//go:build !unix

package milter

// watch does nothing where sockets cannot be looked at.
func (g *guard) watch() (stop func()) { return func() {} }

package filters

// Keeper keeps what outlives a filter: see Env.Keep.
type Keeper interface {
	Keep(key string, make func() any) any
}

// Keep returns what is kept under the key; if there is nothing yet, what make
// returns, which is kept from then on. When a configuration is loaded again its
// filters are built anew: what they keep, they find again.
//
// The key begins with the name of the kind, and holds all that the value depends
// on; it is never shown. The value is shared by filters that are at work at the
// same time: those of the chain that ends its sessions, and those of the new one.
// It is dropped when no chain is left whose filters asked for it, and closed then
// if it is an io.Closer. make may not call Keep.
func (e Env) Keep(key string, make func() any) any {
	if e.Keeper == nil {
		return make()
	}
	return e.Keeper.Keep(key, make)
}

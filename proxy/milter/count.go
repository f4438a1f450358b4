package milter

// Sessions returns how many connections of MTAs there are.
func (m *Milter) Sessions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.conns)
}

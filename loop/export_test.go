package loop

// FindWay is what GiveWay does first.
func (e *Engine) FindWay() error { return e.findWay() }

// ListeningBeside is Listening in a process where another engine listens too.
func (e *Engine) ListeningBeside(other *Engine) bool {
	fds, err := listening(e.addr.Port)
	return err == nil && len(fds) == e.Listeners()+other.Listeners()
}

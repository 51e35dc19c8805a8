package pair

// SetLimit changes MaxQueuedBytes of an adapter.
func (a *Adapter) SetLimit(bytes int) { a.stream.limit = bytes }

// SetKeptLimit changes MaxKeptBytes of an adapter.
func (a *Adapter) SetKeptLimit(bytes int64) { a.keptLimit = bytes }

// Version is what ends must agree on.
const Version = version

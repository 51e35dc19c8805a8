package channels

// Len is the number of occupied channels. It locks one stripe after the other:
// O(1) for each.
func (d *Directory) Len() (n int) {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		n += len(s.occupied)
		s.mu.Unlock()
	}
	return n
}

package rest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrPinned means that the connection of a pinned publisher is gone.
var ErrPinned = errors.New("the pinned connection is closed")

// Pin ties the publisher to the connection it opens now, whose own address it
// returns: several server processes on one port are told apart by their
// connections, and another connection may belong to another process. The server
// has accepted it and answered a request when Pin returns.
func (p *Publisher) Pin(deadline time.Time) (netip.AddrPort, error) {
	p.Close()
	p.pinned = false
	if err := p.KeepAlive(deadline); err != nil {
		return netip.AddrPort{}, err
	}
	if p.conn == nil {
		return netip.AddrPort{}, errors.New("the server does not keep connections open")
	}
	p.pinned = true
	return netip.ParseAddrPort(p.conn.LocalAddr().String())
}

// KeepAlive asks for what costs a server nothing, so that it does not close the
// connection as idle.
//
// Reverb: GET /up, which any server answers somehow.
func (p *Publisher) KeepAlive(deadline time.Time) error {
	p.request = fmt.Appendf(p.request[:0], "GET %s/up HTTP/1.1\r\nHost: %s\r\n\r\n", p.target.Prefix, p.target.Host)
	if _, err := p.roundTrip(deadline); err != nil {
		return fmt.Errorf("keep alive: %w", err)
	}
	return nil
}

package rest

import (
	"strconv"
	"strings"
)

// countConnections tells how many connections the app has.
//
// Reverb: GET /apps/{app_id}/connections, which its Pulse card asks.
// Departs: Reverb counts connections with a subscription only.
func (r *request) countConnections() error {
	if err := r.spendRead(); err != nil {
		return err
	}
	r.out = append(r.out, `{"connections":`...)
	r.out = strconv.AppendInt(r.out, r.server.options.Node.AppConnections(r.app), 10)
	r.out = append(r.out, '}')
	return nil
}

// terminateUser closes the connections of a user. The body is not looked at.
//
// Pusher: POST /apps/{app_id}/users/{user_id}/terminate_connections.
func (r *request) terminateUser() error {
	// The node keeps the id until every reactor has seen it.
	if err := r.server.options.Node.TerminateUser(r.app, strings.Clone(r.args[1])); err != nil {
		return r.overloaded(err)
	}
	r.out = append(r.out, "{}"...)
	return nil
}

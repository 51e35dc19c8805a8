package node

import "errors"

// DashboardLink implements control.Node.
func (n *Node) DashboardLink() (string, error) { return "", errors.New("there is no dashboard") }

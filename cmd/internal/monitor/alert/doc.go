// Package alert tells people when a figure is bad for some time, and when it is
// well again: one message each, to Slack, by e-mail or to a webhook.
//
//	Observe --> a rule begins or ends --> queue of each channel --> its sender
//
// # Ownership
//
// Alerts is safe for concurrent use. Each channel has a queue and a goroutine of
// its own: one that hangs holds up neither the others nor the node.
//
// # Limits
//
// maxQueued messages wait for a channel; each is tried maxTries times, sendTimeout
// each. What is given up is logged and counted. The node does not wait for messages
// when it ends.
package alert

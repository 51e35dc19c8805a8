package monitor

import "strconv"

var (
	descAlertsFiring      = describe("resound_alerts_firing", "Alerts that are active.")
	descAlertMessagesLost = describe("resound_alert_messages_lost_total", "Messages of alerts that could not be sent.")
	descHistoryPointsLost = describe("resound_history_points_lost_total", "Points of the history that could not be written.")
	descBuild             = describe("resound_build_info", "Always 1; the label is the version.", "version")
	descDraining          = describe("resound_draining", "1 while the node closes its connections in order to stop.")
	descStart             = describe("process_start_time_seconds", "Start of the process as Unix time, in seconds.")
	descCPU               = describe("process_cpu_seconds_total", "User and system CPU time spent, in seconds.")
	descMemory            = describe("process_resident_memory_bytes", "Resident memory, in bytes.")
	descMemoryMax         = describe("resound_memory_limit_bytes", "Memory the process may take, in bytes.")

	descLimit    = describe("resound_connections_limit", "Connections above which new ones are refused; 0 is no limit.")
	descSockets  = describe("resound_sockets", "Open TCP connections by what they speak.", "protocol")
	descRejected = describe("resound_handshakes_rejected_total", "WebSocket handshakes that were answered with an HTTP error.")
	descNoRoom   = describe("resound_sockets_refused_total", "TCP connections closed at once for want of descriptors or of room for handshakes of TLS.")
	descTLS      = describe("resound_tls_handshakes_total", "Handshakes of TLS by their end; stalled ones made room for others because their clients kept silent.", "outcome")
	descHeld     = describe("resound_client_addresses", "Addresses with connections, while there is a limit for each.")
	descAddress  = describe("resound_address_limited_total", "Connections refused because the address of their client has too many.")
	descHeader   = describe("resound_proxy_headers_refused_total", "Connections closed for a PROXY header that is broken, missing or not theirs to send.")
	descOverload = describe("resound_publications_refused_total", "Events refused because too many wait to be delivered.")
	descShed     = describe("resound_publications_shed_total", "Events of other nodes dropped because too many wait to be delivered.")
	descSlow     = describe("resound_slow_connections_total", "Connections closed because they did not read.")
	descBroken   = describe("resound_broken_connections_total", "Connections that failed while they were written to.")
	descPanics   = describe("resound_panics_total", "Panics that were recovered.")

	descReactorConnections  = describe("resound_reactor_connections", "Open connections of an event loop.", "reactor")
	descReactorMailbox      = describe("resound_reactor_mailbox_items", "Items that wait for an event loop.", "reactor")
	descReactorMailboxBytes = describe("resound_reactor_mailbox_bytes", "Memory of the events that wait for an event loop or are not written yet.", "reactor")
	descReactorLag          = describe("resound_reactor_lag_seconds", "How long the last sweep of an event loop waited for its turn, in seconds.", "reactor")
	descReactorWrites       = describe("resound_reactor_writes_total", "Writes of an event loop to its sockets.", "reactor")
	descReactorBytes        = describe("resound_reactor_written_bytes_total", "Bytes that an event loop gave to the kernel.", "reactor")

	descCloses   = describe("resound_connections_closed_total", "Connections closed, by close code; 1005 had none, 1006 no close frame, other is a code of the client's own.", "code")
	descErrors   = describe("resound_errors_total", "Errors told to clients, by code.", "code")
	descRefusals = describe("resound_connections_refused_total", "Connections refused by the protocol, by code.", "code")
)

func (e emitter) node(s *Snapshot) {
	e.gauge(descAlertsFiring, float64(s.Watch.AlertsFiring))
	e.count(descAlertMessagesLost, s.Watch.AlertMessagesLost)
	e.count(descHistoryPointsLost, s.Watch.HistoryPointsLost)
	e.gauge(descBuild, 1, s.Version)
	e.gauge(descDraining, boolean(s.State == StateDraining))
	e.gauge(descStart, float64(s.StartedAt.UnixMilli())/1e3)
	e.counter(descCPU, s.Process.CPUSeconds)
	e.gauge(descMemory, float64(s.Process.MemoryBytes))
	e.gauge(descMemoryMax, float64(s.Process.MemoryLimit))

	e.gauge(descLimit, float64(s.Connections.Limit))
	e.gauge(descSockets, float64(s.Connections.Sockets), "websocket")
	e.gauge(descSockets, float64(s.Connections.HTTP), "http")
	e.count(descRejected, s.Totals.RejectedHandshakes)
	e.count(descNoRoom, s.Totals.RefusedSockets)
	e.gauge(descHeld, float64(s.Connections.Addresses))
	e.count(descAddress, s.Totals.RefusedForAddress)
	e.count(descHeader, s.Totals.RefusedForHeader)
	e.count(descTLS, s.Totals.TLS, "completed")
	e.count(descTLS, s.Totals.TLSFailed, "failed")
	e.count(descTLS, s.Totals.TLSStalled, "stalled")
	e.count(descOverload, s.Totals.RefusedPublications)
	e.count(descShed, s.Totals.ShedPublications)
	e.count(descSlow, s.Totals.Slow)
	e.count(descBroken, s.Totals.Broken)
	e.count(descPanics, s.Totals.Panics)
}

func (e emitter) reactors(all []Reactor) {
	for i := range all {
		r, label := &all[i], strconv.Itoa(i)
		e.gauge(descReactorConnections, float64(r.Connections), label)
		e.gauge(descReactorMailbox, float64(r.Mailbox), label)
		e.gauge(descReactorMailboxBytes, float64(r.MailboxBytes), label)
		e.gauge(descReactorLag, r.Lag, label)
		e.count(descReactorWrites, r.Writes, label)
		e.count(descReactorBytes, r.WrittenBytes, label)
	}
}

func (e emitter) closes(s *Snapshot) {
	byLabel := map[string]uint64{}
	for _, c := range s.Closes {
		byLabel[codeLabel(c.Code)] += c.Count
	}
	for label, n := range byLabel {
		e.count(descCloses, n, label)
	}
	for _, c := range s.Errors {
		e.count(descErrors, c.Count, strconv.Itoa(c.Code))
	}
	for _, c := range s.Refusals {
		e.count(descRefusals, c.Count, strconv.Itoa(c.Code))
	}
}

// codeLabel is the label of a close code. A client may close with any code it
// likes; only those that RFC 6455 or Pusher give a meaning have a label.
func codeLabel(code int) string {
	if code >= 1000 && code <= 1015 || code >= 4000 && code <= 4010 || code >= 4100 && code <= 4102 ||
		code >= 4200 && code <= 4204 || code >= 4300 && code <= 4303 {
		return strconv.Itoa(code)
	}
	return "other"
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

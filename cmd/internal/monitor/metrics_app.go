package monitor

var (
	descConnections   = describe("resound_connections", "Open connections.", "app")
	descChannels      = describe("resound_channels", "Occupied channels.", "app")
	descSubscriptions = describe("resound_subscriptions", "Subscriptions held by connections.", "app")
	descOpened        = describe("resound_connections_opened_total", "Connections admitted.", "app")
	descEnded         = describe("resound_connections_ended_total", "Admitted connections that ended.", "app")
	descReceived      = describe("resound_messages_received_total", "Messages from clients.", "app")
	descReceivedBytes = describe("resound_messages_received_bytes_total", "Bytes of messages from clients.", "app")
	descSent          = describe("resound_messages_sent_total", "Messages queued for clients.", "app")
	descSentBytes     = describe("resound_messages_sent_bytes_total", "Bytes of messages queued for clients.", "app")
	descClientEvents  = describe("resound_client_events_total", "Events of clients that were relayed.", "app")
	descTriggered     = describe("resound_events_triggered_total", "Events that the application triggered, once for each channel.", "app")
	descCachedBytes   = describe("resound_cached_bytes", "Memory of the last events of cache channels.", "app")
	descCacheDropped  = describe("resound_cache_events_dropped_total", "Last events that were not kept for want of room.", "app")
	descRequests      = describe("resound_http_requests_total", "Requests of the HTTP API for an app.", "app")
	descRequestBytes  = describe("resound_http_request_bytes_total", "Bytes of their bodies.", "app")
	descResponseBytes = describe("resound_http_response_bytes_total", "Bytes of the bodies of their responses.", "app")
)

func (e emitter) apps(all []App) {
	for i := range all {
		a := &all[i]
		e.gauge(descConnections, float64(a.Connections), a.ID)
		e.gauge(descChannels, float64(a.Channels), a.ID)
		e.gauge(descSubscriptions, float64(a.Subscriptions), a.ID)
		e.count(descOpened, a.Opened, a.ID)
		e.count(descEnded, a.Closed, a.ID)
		e.count(descReceived, a.Received, a.ID)
		e.count(descReceivedBytes, a.ReceivedBytes, a.ID)
		e.count(descSent, a.Sent, a.ID)
		e.count(descSentBytes, a.SentBytes, a.ID)
		e.count(descClientEvents, a.ClientEvents, a.ID)
		e.count(descTriggered, a.Triggered, a.ID)
		e.gauge(descCachedBytes, float64(a.CachedBytes), a.ID)
		e.count(descCacheDropped, a.CacheDropped, a.ID)
		e.count(descRequests, a.Requests, a.ID)
		e.count(descRequestBytes, a.RequestBytes, a.ID)
		e.count(descResponseBytes, a.ResponseBytes, a.ID)
	}
}

// soketi's names, for dashboards that are made for it. The prefix is its default.
//
// Its labels are app_id and port.
var (
	soketiConnected     = describe("soketi_connected", "Open connections.", "app_id", "port")
	soketiOpened        = describe("soketi_new_connections_total", "Connections admitted.", "app_id", "port")
	soketiClosed        = describe("soketi_new_disconnections_total", "Connections that ended.", "app_id", "port")
	soketiReceivedBytes = describe("soketi_socket_received_bytes", "Bytes of messages from clients.", "app_id", "port")
	soketiSentBytes     = describe("soketi_socket_transmitted_bytes", "Bytes of messages for clients.", "app_id", "port")
	soketiReceived      = describe("soketi_ws_messages_received_total", "Messages from clients.", "app_id", "port")
	soketiSent          = describe("soketi_ws_messages_sent_total", "Messages for clients.", "app_id", "port")
	soketiRequestBytes  = describe("soketi_http_received_bytes", "Bytes of requests of the HTTP API.", "app_id", "port")
	soketiResponseBytes = describe("soketi_http_transmitted_bytes", "Bytes of responses of the HTTP API.", "app_id", "port")
	soketiRequests      = describe("soketi_http_calls_received_total", "Requests of the HTTP API.", "app_id", "port")
)

func (e emitter) soketi(all []App, port string) {
	for i := range all {
		a := &all[i]
		e.gauge(soketiConnected, float64(a.Connections), a.ID, port)
		e.count(soketiOpened, a.Opened, a.ID, port)
		e.count(soketiClosed, a.Closed, a.ID, port)
		e.count(soketiReceivedBytes, a.ReceivedBytes, a.ID, port)
		e.count(soketiSentBytes, a.SentBytes, a.ID, port)
		e.count(soketiReceived, a.Received, a.ID, port)
		e.count(soketiSent, a.Sent, a.ID, port)
		e.count(soketiRequestBytes, a.RequestBytes, a.ID, port)
		e.count(soketiResponseBytes, a.ResponseBytes, a.ID, port)
		e.count(soketiRequests, a.Requests, a.ID, port)
	}
}

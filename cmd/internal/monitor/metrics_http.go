package monitor

import "strconv"

var (
	descResponses  = describe("resound_http_responses_total", "HTTP responses by class of status.", "class")
	descSignatures = describe("resound_http_signature_failures_total", "Requests of the HTTP API with a wrong signature.")
	descLimited    = describe("resound_http_rate_limited_total", "Requests of the HTTP API answered with 429.")
	descFallback   = describe("resound_fallback_sessions", "Clients connected over HTTP in place of a WebSocket.")
	descShield     = describe("resound_auth_shield_questions_total", "Questions of browsers by what became of them.", "outcome")

	descHookEvents   = describe("resound_webhook_events_sent_total", "Webhook events that were delivered.")
	descHookRequests = describe("resound_webhook_requests_total", "Requests to receivers of webhooks by outcome.", "outcome")
	descHookDropped  = describe("resound_webhook_events_dropped_total", "Webhook events that were given up, by reason.", "reason")
	descHookQueued   = describe("resound_webhook_events_waiting", "Webhook events that wait, queued or held back.", "state")
	descHookFailing  = describe("resound_webhook_receivers_failing", "Receivers whose last request failed.")
)

func (e emitter) http(s *Snapshot) {
	for class := 2; class < len(s.HTTP.Responses); class++ {
		e.count(descResponses, s.HTTP.Responses[class], strconv.Itoa(class)+"xx")
	}
	e.count(descSignatures, s.HTTP.SignatureFailures)
	e.count(descLimited, s.HTTP.RateLimited)
	e.gauge(descFallback, float64(s.HTTP.FallbackSessions))
	e.count(descShield, s.Shield.Asked, "asked")
	e.count(descShield, s.Shield.Shared, "shared")
	e.count(descShield, s.Shield.Cached, "cached")
	e.count(descShield, s.Shield.Refused, "refused")
	e.count(descShield, s.Shield.Unavailable, "unavailable")
}

func (e emitter) webhooks(w *Webhooks) {
	if w == nil {
		return
	}
	e.count(descHookEvents, w.SentEvents)
	e.count(descHookRequests, w.SentRequests, "sent")
	e.count(descHookRequests, w.FailedRequests, "failed")
	for _, d := range w.Dropped {
		e.count(descHookDropped, d.Events, d.Reason)
	}
	e.gauge(descHookQueued, float64(w.QueuedEvents), "queued")
	e.gauge(descHookQueued, float64(w.HeldEvents), "held")
	e.gauge(descHookFailing, float64(w.Failing))
}

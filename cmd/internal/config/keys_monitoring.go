package config

// monitoringKeys declares `servers.reverb.monitoring` and what belongs to it.
var monitoringKeys = []key[Server]{
	{
		spec{
			path: "monitoring.metrics.access", live: true, fallback: string(MetricsAccessLocal), refine: oneOf("local", "public", "off"),
			meaning: "Who may read `/metrics` on the server's port while no token is set: `local`, programs of this host that connect without a proxy; `public`, everybody; `off`, nobody, not even with the token. The control socket always serves it.",
			danger:  "The names of apps and the amount of traffic are nobody else's business. A proxy that neither keeps the Host header nor adds X-Forwarded-For makes everybody local: let it refuse `/metrics`.",
		},
		func(s *Server) any { return &s.Monitoring.MetricsAccess },
	},
	{
		spec{
			path: "monitoring.metrics.token", live: true, secret: true, null: "none",
			meaning: "Token that `/metrics` asks for, as `Authorization: Bearer TOKEN`, wherever the request comes from.",
		},
		func(s *Server) any { return &s.Monitoring.MetricsToken },
	},
	{
		spec{
			path: "metrics_compat", null: "off", refine: oneOf("soketi"),
			meaning: "Also expose the metrics under the names of another server. Only `soketi` is known.",
		},
		func(s *Server) any { return &s.MetricsCompat },
	},
	{
		spec{
			path: "monitoring.accept_traffic.memory_threshold", live: true, unit: "percent", fallback: "85", min: 1, max: 100,
			meaning: "`/accept-traffic` answers 503 while the process takes more than this share of its memory limit: that of the control group, else the memory of the host.",
		},
		func(s *Server) any { return &s.Monitoring.MemoryThreshold },
	},
	{
		spec{
			path: "monitoring.accept_traffic.connection_threshold", live: true, unit: "percent", fallback: "90", min: 1, max: 100,
			meaning: "`/accept-traffic` answers 503 while the node has more than this share of its `max_connections`.",
		},
		func(s *Server) any { return &s.Monitoring.ConnectionThreshold },
	},
	{
		spec{
			path: "monitoring.pprof", fallback: "false",
			meaning: "Serve Go's profiles at `/debug/pprof/` on the control socket.",
		},
		func(s *Server) any { return &s.Monitoring.Profiling },
	},
}

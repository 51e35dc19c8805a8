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
	{
		spec{
			path: "monitoring.storage", null: "a file of the node's own",
			meaning: "File in which the history of the node is kept, or `off`. By default it is `resound-history-PORT.db` in the first of systemd's `$STATE_DIRECTORY`, Laravel's `storage/framework` and the user's cache directory; a node whose port the kernel chooses has none.",
		},
		func(s *Server) any { return &s.Monitoring.Storage },
	},
	{
		spec{
			path: "monitoring.dashboard.enabled", live: true, fallback: "true",
			meaning: "Serve the dashboard at `{path}/reverb`.",
		},
		func(s *Server) any { return &s.Monitoring.Dashboard },
	},
	{
		spec{
			path: "monitoring.dashboard.password", env: "RESOUND_DASHBOARD_PASSWORD", live: true, secret: true, null: "a link that works once, printed at the start",
			meaning: "Password that the dashboard asks for.",
			danger:  "Without TLS, or a proxy that speaks it, the password can be read on the way.",
		},
		func(s *Server) any { return &s.Monitoring.DashboardPassword },
	},
	{
		spec{
			path: "monitoring.dashboard.environment", env: "APP_ENV", live: true, null: "not local",
			meaning: "Laravel's environment. With `local` the dashboard asks for nothing; MONITORING.md says by which names.",
			danger:  "`local` on a host that others reach shows them the channels and lets them send events.",
		},
		func(s *Server) any { return &s.Monitoring.Environment },
	},
	{
		spec{
			path: "monitoring.channels.slack.url", live: true, secret: true, null: "none", refine: httpURL,
			meaning: "Incoming webhook of Slack, for alerts.",
		},
		func(s *Server) any { return &s.Monitoring.SlackURL },
	},
	{
		spec{
			path: "monitoring.channels.webhook.url", live: true, secret: true, null: "none", refine: httpURL,
			meaning: "URL to which alerts are posted as JSON.",
		},
		func(s *Server) any { return &s.Monitoring.WebhookURL },
	},
	{
		spec{
			path: "monitoring.channels.email.smtp", live: true, secret: true, null: "none", refine: smtpURL,
			meaning: "Mail server for alerts: `smtp://user:password@host:587`, which must speak STARTTLS unless it is of this host, or `smtps://...:465`.",
		},
		func(s *Server) any { return &s.Monitoring.SMTP },
	},
	{
		spec{
			path: "monitoring.channels.email.from", live: true, null: "none", refine: mailAddress,
			meaning: "Sender of alerts.",
		},
		func(s *Server) any { return &s.Monitoring.MailFrom },
	},
	{
		spec{
			path: "monitoring.channels.email.to", live: true, null: "none",
			meaning: "Receivers of alerts.",
		},
		func(s *Server) any { return &s.Monitoring.MailTo },
	},
}

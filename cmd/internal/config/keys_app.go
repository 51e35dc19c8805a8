package config

import "time"

// noLimit is what null means for most limits.
const noLimit = "no limit"

// appKeys declares `apps.apps[]`.
//
// Reverb: config/reverb.php, "apps".
var appKeys = []key[App]{
	{
		spec{
			path: "app_id", env: "REVERB_APP_ID", required: true, refine: appID,
			meaning: "Id of the app, part of the HTTP API's URLs. Unique.",
		},
		func(a *App) any { return &a.ID },
	},
	{
		spec{
			path: "key", env: "REVERB_APP_KEY", required: true, refine: appKey,
			meaning: "Public key of the app, part of the WebSocket URL. Unique.",
		},
		func(a *App) any { return &a.Key },
	},
	{
		spec{
			path: "secret", env: "REVERB_APP_SECRET", required: true, secret: true,
			meaning: "What signatures are made with.",
			danger:  "Whoever has it can send every event and join every channel.",
		},
		func(a *App) any { return &a.Secret },
	},
	{
		spec{
			path: "enabled", fallback: "true",
			meaning: "Off, new connections get 4003 and HTTP requests 403.",
		},
		func(a *App) any { return &a.Enabled },
	},
	{
		spec{
			path: "allowed_origins", fallback: "*",
			meaning: "Globs for the host of the browser's `Origin`, without scheme and port. `*` allows every origin, an empty list in the file none.",
			danger:  "With `*` any web page may connect with the public key.",
		},
		func(a *App) any { return &a.AllowedOrigins },
	},
	{
		spec{
			path: "ping_interval", env: "REVERB_APP_PING_INTERVAL", fallback: "60s", min: int64(time.Second), max: int64(24 * time.Hour),
			meaning: "Silence of a connection after which it is pinged.",
			danger:  "Longer than a proxy's idle timeout, quiet connections are cut by the proxy.",
		},
		func(a *App) any { return &a.PingInterval },
	},
	{
		// Pusher: pusher-js throws when the handshake names an activity timeout of 0.
		spec{
			path: "activity_timeout", env: "REVERB_APP_ACTIVITY_TIMEOUT", fallback: "30s", min: int64(time.Second), max: int64(24 * time.Hour), whole: true,
			meaning: "Silence after which the client is asked to ping; sent to it when it connects.",
		},
		func(a *App) any { return &a.ActivityTimeout },
	},
	{
		spec{
			path: "max_connections", env: "REVERB_APP_MAX_CONNECTIONS", unit: "connections", null: noLimit, min: 1, max: maxCount,
			meaning: "Connections of the app; the next one gets 4004.",
		},
		func(a *App) any { return &a.MaxConnections },
	},
	{
		spec{
			path: "max_subscriptions_per_connection", unit: "subscriptions", fallback: "10000", null: noLimit, min: 1, max: maxCount,
			meaning: "Channels one connection may be subscribed to; the next one is refused with 4004.",
			danger:  "A client may name channels that nobody else does: each costs up to 0.5 KB.",
		},
		func(a *App) any { return &a.MaxSubscriptionsPerConnection },
	},
	{
		spec{
			path: "max_message_size", env: "REVERB_APP_MAX_MESSAGE_SIZE", unit: "bytes", fallback: "10000", min: 1, max: 16 << 20,
			meaning: "Largest message a client may send; a longer one closes its connection with 1009.",
			danger:  "A connection may hold this much memory while a message arrives.",
		},
		func(a *App) any { return &a.MaxMessageBytes },
	},
	{
		// Departs: Reverb means `all` when the key is absent from an app.
		spec{
			path: "accept_client_events_from", env: "REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", fallback: "members",
			meaning: "Whose client events are relayed: `members` of the channel, `all` connections, or `none` (also `false`). Absent, it is `members`, where Reverb means `all`.",
			danger:  "With `all` everyone who knows a channel's name can write to it.",
		},
		func(a *App) any { return &a.AcceptClientEventsFrom },
	},
	{
		spec{
			path: "client_events_on_public_channels", fallback: "true",
			meaning: "Relay client events on public channels too, as Reverb does and Pusher does not.",
		},
		func(a *App) any { return &a.ClientEventsPublicChannels },
	},
	{
		spec{
			path: "rate_limiting.enabled", env: "REVERB_APP_RATE_LIMITING_ENABLED", fallback: "false",
			meaning: "Bound the messages of each connection; the excess gets 4301 and is dropped.",
		},
		func(a *App) any { return &a.RateLimiting.Enabled },
	},
	{
		spec{
			path: "rate_limiting.max_attempts", env: "REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS", unit: "messages", fallback: "60", min: 1, max: maxCount,
			meaning: "Messages of one connection in `decay_seconds`, pings included.",
		},
		func(a *App) any { return &a.RateLimiting.MaxAttempts },
	},
	{
		spec{
			path: "rate_limiting.decay_seconds", env: "REVERB_APP_RATE_LIMIT_DECAY_SECONDS", fallback: "60s", min: int64(time.Second), max: int64(24 * time.Hour),
			meaning: "The time `max_attempts` is for.",
		},
		func(a *App) any { return &a.RateLimiting.Decay },
	},
	{
		spec{
			path: "rate_limiting.terminate_on_limit", env: "REVERB_APP_RATE_LIMIT_TERMINATE", fallback: "false",
			meaning: "Close the connection that exceeds the limit.",
		},
		func(a *App) any { return &a.RateLimiting.TerminateOnLimit },
	},
	{
		spec{
			path: "cache_ttl", fallback: "1800s", min: int64(time.Second), max: maxDuration,
			meaning: "Life of the last event of a cache channel.",
		},
		func(a *App) any { return &a.CacheTTL },
	},
	{
		spec{
			path: "max_cached_bytes", unit: "bytes", fallback: "67108864", null: noLimit, min: 1 << 16, max: 1 << 40,
			meaning: "Memory of the last events of all cache channels that are triggered at this node; beyond it events are delivered and not kept, which is counted.",
			danger:  "Events of cache channels without subscribers are kept for `cache_ttl` too.",
		},
		func(a *App) any { return &a.MaxCachedBytes },
	},
	{
		spec{
			path: "max_presence_members", unit: "members", null: noLimit, min: 1, max: maxCount,
			meaning: "Members of one presence channel; the next one is refused.",
			danger:  "The roster is sent to every new member.",
		},
		func(a *App) any { return &a.MaxPresenceMembers },
	},
	{
		spec{
			path: "max_presence_member_bytes", unit: "bytes", fallback: "2048", min: 1, max: 1 << 20,
			meaning: "Largest user data of one member.",
		},
		func(a *App) any { return &a.MaxPresenceMemberBytes },
	},
	{
		spec{
			path: "max_channel_name_length", unit: "bytes", fallback: "200", min: 1, max: 4096,
			meaning: "Longest name of a channel.",
		},
		func(a *App) any { return &a.MaxChannelNameBytes },
	},
	{
		spec{
			path: "max_event_name_length", unit: "bytes", fallback: "200", min: 1, max: 4096,
			meaning: "Longest name of an event.",
		},
		func(a *App) any { return &a.MaxEventNameBytes },
	},
	{
		spec{
			path: "max_event_channels", unit: "channels", fallback: "100", null: noLimit, min: 1, max: maxCount,
			meaning: "Channels of one trigger.",
		},
		func(a *App) any { return &a.MaxEventChannels },
	},
	{
		spec{
			path: "max_batch_size", unit: "events", fallback: "10", null: noLimit, min: 1, max: maxCount,
			meaning: "Events of one batch.",
		},
		func(a *App) any { return &a.MaxBatchEvents },
	},
	{
		spec{
			path: "max_event_bytes", unit: "bytes", null: "the request limit alone", min: 1, max: 100 << 20,
			meaning: "Largest data of one event; above it the answer is 413.",
		},
		func(a *App) any { return &a.MaxEventBytes },
	},
	{
		spec{
			// Pusher: 10 a second for each connection.
			path: "max_client_events_per_second", unit: "events", null: noLimit, on: 10, min: 1, max: maxCount,
			meaning: "Client events of one connection; the excess gets 4301. `true` means 10, Pusher's limit.",
		},
		func(a *App) any { return &a.ClientEventsPerSecond },
	},
	{
		spec{
			path: "max_backend_events_per_second", unit: "events", null: noLimit, min: 1, max: maxCount,
			meaning: "Events of the HTTP API, counted per app; the excess gets 429 with `Retry-After`.",
		},
		func(a *App) any { return &a.BackendEventsPerSecond },
	},
	{
		spec{
			path: "max_read_requests_per_second", unit: "requests", null: noLimit, min: 1, max: maxCount,
			meaning: "GET requests of the HTTP API, counted per app; the excess gets 429 with `Retry-After`.",
		},
		func(a *App) any { return &a.ReadRequestsPerSecond },
	},
	{
		spec{
			path: "max_user_id_length", unit: "bytes", fallback: "128", min: 1, max: 4096,
			meaning: "Longest id of a signed-in user or presence member.",
		},
		func(a *App) any { return &a.MaxUserIDBytes },
	},
	{
		spec{
			path: "subscription_count", fallback: "false",
			meaning: "Send `pusher_internal:subscription_count` to the subscribers of a channel when their number changes; above 100 at most every 5 s.",
		},
		func(a *App) any { return &a.SubscriptionCount },
	},
	{
		spec{
			path: "watchlist", fallback: "false",
			meaning: "Send `online` and `offline` events to users who sign in with a watchlist.",
		},
		func(a *App) any { return &a.Watchlist },
	},
	{
		spec{
			path: "max_watchlist", unit: "users", fallback: "100", min: 1, max: maxCount,
			meaning: "Users of one watchlist; of a longer one the first are accepted and the client is told with 4302.",
		},
		func(a *App) any { return &a.MaxWatchlist },
	},
	{
		spec{
			path: "authorized_connections_timeout", null: "never", min: int64(time.Second), max: int64(24 * time.Hour),
			meaning: "Time in which a connection must sign in or subscribe to a private or presence channel; otherwise it is closed with 4009.",
			danger:  "Clients that use public channels only are shut out.",
		},
		func(a *App) any { return &a.AuthorizedConnectionsTimeout },
	},
	{
		// Departs: Pusher answers 400, Reverb never.
		spec{
			path: "strict_info", fallback: "false",
			meaning: "Answer 400 to a GET request that asks for an `info` attribute that does not apply, and `null` for an empty cache, as Pusher does. Off, the attribute is left out, as Reverb does.",
		},
		func(a *App) any { return &a.StrictInfo },
	},
	{
		spec{
			path: "auth.upstream", null: "off", refine: httpURL,
			meaning: "URL of the application's own channel authorization, such as `http://127.0.0.1:8000/broadcasting/auth`. Browsers may then use this server's `/broadcasting/auth` and `/broadcasting/user-auth`; it asks the application with their credentials and signs itself. Users are asked about at `user-auth` beside it.",
			danger:  "With `*` in `allowed_origins`, pages of other hosts get answers without cookies only; name the origins that may send them.",
		},
		func(a *App) any { return &a.Auth.Upstream },
	},
	{
		spec{
			path: "auth.cache_ttl", fallback: "0", max: int64(time.Hour),
			meaning: "How long a grant is reused for the same credentials and channel. Refusals are never kept.",
			danger:  "Who loses a permission keeps it this long.",
		},
		func(a *App) any { return &a.Auth.CacheTTL },
	},
	{
		spec{
			path: "auth.timeout", fallback: "5s", min: int64(100 * time.Millisecond), max: int64(time.Minute),
			meaning: "Time for a question to the application, waiting for its turn included; above it the browser gets 503 with `Retry-After`.",
		},
		func(a *App) any { return &a.Auth.Timeout },
	},
	{
		spec{
			path: "auth.max_in_flight", unit: "questions", fallback: "64", min: 1, max: 10_000,
			meaning: "Questions to the application at a time; more wait for their turn.",
			danger:  "More than the application has workers only moves the queue there.",
		},
		func(a *App) any { return &a.Auth.MaxInFlight },
	},
	{
		spec{
			path: "encryption_master_key", secret: true,
			meaning: "Key of encrypted channels for the auth endpoints: base64 of 32 bytes.",
			danger:  "Whoever has it can read every encrypted channel. The node needs it only to answer `/auth` itself.",
		},
		func(a *App) any { return &a.EncryptionMasterKey },
	},
}

package pusher

// Error is what goes wrong for a client: the code and message of pusher:error
// and, where the connection ends, its close code and reason. Immutable.
//
//	4000-4099  do not reconnect unchanged
//	4100-4199  reconnect after at least a second
//	4200-4299  reconnect at once
//	4300-4399  other
//
// Pusher: error codes.
type Error struct {
	Code    int
	Message string
}

func (e *Error) Error() string { return e.Message }

// The errors of the protocol. Messages are Reverb's where Reverb has the error.
var (
	ErrAppUnknown   = &Error{4001, "Application does not exist"}
	ErrAppDisabled  = &Error{4003, "Application is disabled"}
	ErrQuota        = &Error{4004, "Application is over connection quota"}
	ErrUnauthorized = &Error{4009, "Connection is unauthorized"}
	ErrVersionText  = &Error{4006, "Invalid protocol version"}
	ErrVersion      = &Error{4007, "Unsupported protocol version, 4 to 7 are supported"}
	ErrOrigin       = &Error{4009, "Origin not allowed"}
	ErrTerminated   = &Error{4009, "Connection was terminated by the application"}
	ErrSignedIn     = &Error{4009, "Connection is signed in as another user"}
	ErrUser         = &Error{4009, "user_data needs an id that is a string and not empty"}
	ErrUserID       = &Error{4009, "User id is too long"}

	ErrNotAuthorizedInTime = &Error{4009, "Connection was not authorized within the timeout"}

	ErrNotMember      = &Error{4009, "The client is not a member of the specified channel."}
	ErrOverCapacity   = &Error{4100, "Server is over capacity"}
	ErrSlow           = &Error{4100, "Connection reads too slowly"}
	ErrFault          = &Error{4200, "Internal server error"}
	ErrDraining       = &Error{4200, "Server is shutting down, reconnect"}
	ErrMessageFormat  = &Error{4200, "Invalid message format"}
	ErrPongTimeout    = &Error{4201, "Pong reply not received in time"}
	ErrClientEvents   = &Error{4301, "The app does not have client messaging enabled."}
	ErrPublicClient   = &Error{4301, "Client events are only allowed on private and presence channels."}
	ErrClientRate     = &Error{4301, "Client event rate limit exceeded"}
	ErrRateLimit      = &Error{4301, "Rate limit exceeded"}
	ErrChannelName    = &Error{4009, "Channel name is too long"}
	ErrEventName      = &Error{4301, "Event name is too long"}
	ErrSubscriptions  = &Error{4004, "Connection is over its subscription limit"}
	ErrMemberTooLarge = &Error{4009, "Presence member is too large"}
	ErrMembers        = &Error{4004, "Presence channel is over its member limit"}
	ErrMember         = &Error{4009, "Presence channel_data needs a user_id that is a string or a number"}
	ErrBusy           = &Error{4100, "Server is overloaded, try again"}
	ErrOverload       = &Error{4301, "Server is overloaded, client event dropped"}
)

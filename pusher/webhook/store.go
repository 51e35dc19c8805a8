package webhook

import (
	"encoding/json"
	"time"
)

// Kept is an event that Close could not send: one that waited for a URL, or one
// that was held back and has no URL yet.
type Kept struct {
	AppID string          `json:"app_id"`
	URL   string          `json:"url,omitempty"` // empty when held back
	At    time.Time       `json:"at"`
	Event json.RawMessage `json:"event"`

	// Of events held back.
	Type      EventType `json:"type,omitzero"`
	Channel   string    `json:"channel,omitempty"`
	UserID    string    `json:"user_id,omitempty"`
	Condition           // of its Record
}

// Store carries events over a restart.
type Store interface {
	// Save adds events to what is kept.
	Save(events []Kept) error

	// Load returns what is kept, in the order it was saved, and forgets it. With
	// an error it returns what it could read.
	Load() ([]Kept, error)
}

package shield

import "fmt"

// Refusal is the application's no. It holds for nobody but those who asked while
// the question was in flight.
type Refusal struct {
	Status     int // 400 to 499, as the application answered
	RetryAfter int // seconds the application asks to wait; 0 means it does not say
}

func (e *Refusal) Error() string {
	return fmt.Sprintf("the application refused with status %d", e.Status)
}

// Unavailable says that the application gave no usable answer. Nothing is
// granted; asking again later may help.
type Unavailable struct{ why string }

func (e *Unavailable) Error() string { return e.why }

func unavailable(format string, args ...any) error {
	return &Unavailable{fmt.Sprintf(format, args...)}
}

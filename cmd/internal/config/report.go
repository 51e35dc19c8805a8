package config

import (
	"errors"
	"fmt"
)

// report collects everything that is wrong, so that all of it is told at once.
type report struct {
	warnings []Warning
	wrong    []error
}

func (r *report) warn(key, text string) {
	r.warnings = append(r.warnings, Warning{Key: key, Text: text})
}

func (r *report) fail(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Errorf(format, args...))
}

// add keeps an error that is not nil.
func (r *report) add(err error) {
	if err != nil {
		r.wrong = append(r.wrong, err)
	}
}

func (r *report) err() error { return errors.Join(r.wrong...) }

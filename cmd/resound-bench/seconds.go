package main

import (
	"fmt"
	"strconv"
	"time"
)

// maxSeconds is the longest round.
const maxSeconds = 3600

// secondsValue is a flag in seconds, fractions allowed.
type secondsValue time.Duration

// Set implements pflag.Value.
func (v *secondsValue) Set(s string) error {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("%q is no number of seconds", s)
	}
	if !(f > 0 && f <= maxSeconds) {
		return fmt.Errorf("%v seconds are outside 0 to %d", f, maxSeconds)
	}
	*v = secondsValue(f * float64(time.Second))
	return nil
}

// String implements pflag.Value.
func (v *secondsValue) String() string {
	if *v == 0 {
		return "" // the default is in the flag's text
	}
	return strconv.FormatFloat(time.Duration(*v).Seconds(), 'g', -1, 64)
}

// Type implements pflag.Value.
func (v *secondsValue) Type() string { return "seconds" }

package bench

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// count formats a whole number with commas: 1,234,567.
func count(v float64) string {
	digits := strconv.FormatFloat(math.Abs(math.Round(v)), 'f', 0, 64)
	b := make([]byte, 0, len(digits)+len(digits)/3+1)
	if math.Round(v) < 0 {
		b = append(b, '-')
	}
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, digits[i])
	}
	return string(b)
}

// Number formats a figure for people: whole with commas from 100 on, otherwise with
// three significant digits.
func Number(v float64) string {
	if math.Abs(v) >= 100 || v == 0 {
		return count(v)
	}
	return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))), 64)
}

// Plain formats a round figure, the mark of an axis, say: 2.5 and 40,000.
func Plain(v float64) string {
	if math.Abs(v) >= 1000 {
		return count(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// Micros formats microseconds with the unit that fits.
func Micros(v int64) string {
	d := time.Duration(v) * time.Microsecond
	if d >= 10*time.Millisecond {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.String()
}

func optional(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *v)
}

func ratioText(v float64, found bool) string {
	if !found {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// column is one of a table.
type column struct {
	title string
	right bool // aligned
	cut   bool // may be made narrower where the table does not fit
}

const (
	columnGap      = 2
	minColumnRunes = 8 // of a column that is cut
)

// writeTable writes rows below the titles of their columns. width is that of the
// terminal in characters, 0 for none: nothing is cut then. What comes from clients
// cannot steer the terminal.
func writeTable(w io.Writer, width int, columns []column, rows [][]string) error {
	widths := make([]int, len(columns))
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i], widths[i] = c.title, utf8.RuneCountInString(c.title)
	}
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	fit(widths, columns, width)
	var out strings.Builder
	for _, row := range append([][]string{titles}, rows...) {
		line := ""
		for i, text := range row {
			text = shorten(text, widths[i])
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if columns[i].right {
				text = pad + text
			} else {
				text += pad
			}
			line += text + strings.Repeat(" ", columnGap)
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// fit takes from the widest column that may be cut until the table fits.
func fit(widths []int, columns []column, width int) {
	if width <= 0 {
		return
	}
	total := columnGap * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > width; total-- {
		widest := -1
		for i, c := range columns {
			if c.cut && widths[i] > minColumnRunes && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// shorten cuts a text to a number of characters.
func shorten(text string, runes int) string {
	if utf8.RuneCountInString(text) <= runes {
		return text
	}
	return string([]rune(text)[:runes-1]) + "…"
}

// screen is a terminal in characters; zero when it is none.
type screen struct{ width, height int }

func screenOf(w io.Writer) screen {
	f, ok := w.(*os.File)
	if !ok {
		return screen{}
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return screen{}
	}
	return screen{int(size.Col), int(size.Row)}
}

// rows is how many rows of a table to show: limit, which is 0 for all, or what fits
// on the screen with other lines.
func (s screen) rows(limit, others int) int {
	if s.height == 0 {
		return limit
	}
	fits := max(1, s.height-others)
	if limit == 0 {
		return fits
	}
	return min(limit, fits)
}

// limitFlag adds --limit to a command that prints a table.
func limitFlag(c *cobra.Command, limit *int) {
	c.Flags().IntVar(limit, "limit", 0, "rows to print (default all; with --watch what fits on the screen)")
}

func checkLimit(limit int) error {
	if limit < 0 {
		return usageError{fmt.Errorf("--limit is %d, want 0 for none or a positive number", limit)}
	}
	return nil
}

// writeCount writes how many rows there are below those that are shown. what is their
// plural.
func writeCount(out io.Writer, shown, all int, what string) error {
	more := ""
	if all > shown {
		more = fmt.Sprintf("… and %s more\n", count(all-shown))
	}
	if all == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	_, err := fmt.Fprintf(out, "%s\n%s %s\n", more, count(all), what)
	return err
}

package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

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

// terminalWidth is that of w in characters, or 0 when it is no terminal.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

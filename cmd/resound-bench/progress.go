package main

import (
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// openProgress returns where a run tells what it does, and what ends that: a bar on a
// terminal, plain lines elsewhere, nothing when quiet.
func openProgress(out *os.File, quiet bool) (progress io.Writer, end func()) {
	switch {
	case quiet:
		return nil, func() {}
	case !term.IsTerminal(int(out.Fd())):
		return out, func() {}
	}
	b := newProgressBar(out)
	return b, b.end
}

// progressBar shows the last line beside how many rounds are done. It is a
// bench.Stepper, for one goroutine.
type progressBar struct{ bar *progressbar.ProgressBar }

const (
	barWidth = 24

	// barInterval is how often the terminal is written to at most.
	barInterval = 50 * time.Millisecond
)

func newProgressBar(out io.Writer) progressBar {
	return progressBar{progressbar.NewOptions(-1, // a spinner, until the number of rounds is known
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionThrottle(barInterval),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine: it turns with the lines
		progressbar.OptionSpinnerType(14),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// Write shows a line. The bar is for the eye: its errors are not.
func (p progressBar) Write(line []byte) (int, error) {
	p.bar.Describe(strings.TrimSpace(string(line)))
	_ = p.bar.RenderBlank()
	return len(line), nil
}

// Step shows that so many of all rounds are done.
func (p progressBar) Step(done, total int) {
	if done == 0 || total == 0 {
		return
	}
	p.bar.ChangeMax(total)
	_ = p.bar.Set(min(done, total-1)) // a full bar would end itself
}

// end takes the bar from the terminal.
func (p progressBar) end() { _ = p.bar.Finish() }

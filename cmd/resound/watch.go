package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// watchInterval is how often --watch looks again.
const watchInterval = 2 * time.Second

// repeated runs show once or, to watch, again and again until Ctrl-C. The screen has
// a height only for pictures that must fit on it, since the next takes their place.
func repeated(c *cobra.Command, watch bool, show func(ctx context.Context, out io.Writer, s screen) error) error {
	ctx, cancel := interruptible(c)
	defer cancel()
	out := c.OutOrStdout()
	if !watch {
		return show(ctx, out, screen{width: screenOf(out).width})
	}
	again := time.NewTicker(watchInterval)
	defer again.Stop()
	for {
		// The picture is drawn at once, so that it does not flicker.
		var picture bytes.Buffer
		s := screenOf(out)
		err := show(ctx, &picture, s)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if s.width > 0 {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		if _, err := picture.WriteTo(out); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

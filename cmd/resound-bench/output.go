package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"resound/bench"
	"resound/bench/report"
)

// output says where a result goes besides the table, "" for nowhere.
type output struct {
	json, html string
	compare    string        // a file to set beside it
	earlier    *bench.Result // what was in that file
}

// readEarlier reads the file to compare with and refuses one of another scenario.
func (o *output) readEarlier(scenario string) error {
	if o.compare == "" {
		return nil
	}
	earlier, err := bench.ReadResult(o.compare)
	if err != nil {
		return err
	}
	if _, err := bench.Compare(earlier, bench.Result{Scenario: scenario}); err != nil {
		return fmt.Errorf("%s: %w", o.compare, err)
	}
	o.earlier = &earlier
	return nil
}

// write writes what was measured, also when the run failed half-way.
func (o *output) write(w io.Writer, result bench.Result) error {
	errs := []error{result.WriteTable(w)}
	var compared *bench.Comparison
	if o.earlier != nil {
		c, err := bench.Compare(*o.earlier, result)
		if err != nil {
			return err
		}
		compared = &c
		fmt.Fprintln(w)
		errs = append(errs, c.WriteTable(w))
	}
	errs = append(errs, writeFile(o.json, result.WriteJSON), writeFile(o.html, func(w io.Writer) error {
		return report.Write(w, result, compared)
	}))
	return errors.Join(errs...)
}

// writeFile writes a file unless path is "".
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// Package report writes a result as one HTML file that needs nothing beside itself:
// verdicts and key figures first, then charts, tables, settings and the raw data.
//
// It owns no state, measures nothing and reads no clock. Charts are SVG computed here;
// the file shows all of it without scripts, which only serve to save the raw data.
package report

package rest

import (
	"strings"
	"testing"
	"time"

	"resound/pusher"
)

func TestOptionsAreValidated(t *testing.T) {
	node, err := pusher.NewNode(pusher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"no_node", Options{}, "options have no Node"},
		{"negative_bytes", Options{Node: node, MaxRequestBytes: -1}, "MaxRequestBytes is -1, want a positive number or 0 for 10000"},
		{"negative_header", Options{Node: node, MaxHeaderBytes: -1}, "MaxHeaderBytes is -1"},
		{"negative_connections", Options{Node: node, MaxConnections: -1}, "MaxConnections is -1"},
		{"negative_timeout", Options{Node: node, IdleTimeout: -time.Second}, "IdleTimeout is -1s, want a positive duration or 0 for 1m15s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("zero_is_the_default", func(t *testing.T) {
		if _, err := New(Options{Node: node}); err != nil {
			t.Errorf("New: %v", err)
		}
	})
}

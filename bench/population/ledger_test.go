package population

import (
	"net/netip"
	"testing"

	"resound/bench/wire"
)

func TestLedger(t *testing.T) {
	type event struct {
		conn   int32
		number uint32
	}
	tests := []struct {
		name    string
		options Options
		ours    []event // each the first of its kind
		foreign []event
	}{
		{"one lane is for every connection", Options{Connections: 2, Total: 2, Lanes: 1}, []event{{0, 1}, {1, 1}, {0, 2}}, []event{{0, 0}}},
		{"several lanes are for every connection, each in its own order", Options{Connections: 2, Total: 2, Lanes: 3}, []event{{0, 5}, {0, 3}, {0, 8}, {0, 1}, {1, 1}}, nil},
		{
			"a lane for each channel is for the connections that have it",
			Options{Connections: 3, First: 2, Total: 5, Channels: 12, Lanes: 12, LanePerChannel: true},
			[]event{{0, 3}, {0, 8}, {0, 3 + 12}, {1, 4}, {2, 5}, {2, 10}},
			[]event{{0, 1}, {0, 4}, {1, 3}, {2, 11}},
		},
		{
			"of fewer channels than connections several have the same",
			Options{Connections: 4, Total: 4, Channels: 2, Lanes: 2, LanePerChannel: true},
			[]event{{0, 1}, {2, 1}, {1, 2}, {3, 4}},
			[]event{{0, 2}, {1, 1}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger(tt.options)
			for _, e := range tt.ours {
				if got, ours := l.observe(e.conn, e.number); !ours || got != wire.InOrder {
					t.Errorf("got %v %v of %+v, want it in order", got, ours, e)
				}
				if got, ours := l.observe(e.conn, e.number); !ours || got != wire.Duplicated {
					t.Errorf("got %v %v of %+v again, want it duplicated", got, ours, e)
				}
			}
			for _, e := range tt.foreign {
				if got, ours := l.observe(e.conn, e.number); ours {
					t.Errorf("got %v of %+v, want it for another connection", got, e)
				}
			}
		})
	}
}

func TestChannels(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		conn    int
		want    []string
	}{
		{"the one channel", Options{Channel: "c", Total: 2}, 1, []string{"c"}},
		{"as many channels as connections", Options{Channel: "c", Channels: 3, Total: 3}, 2, []string{"c-2"}},
		{"fewer channels", Options{Channel: "c", Channels: 2, Total: 5}, 4, []string{"c-0"}},
		{"more channels", Options{Channel: "c", Channels: 7, Total: 3}, 0, []string{"c-0", "c-3", "c-6"}},
		{"more channels, a later connection", Options{Channel: "c", Channels: 7, Total: 3, First: 1}, 1, []string{"c-2", "c-5"}},
		{"no channel", Options{Total: 1}, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for held := range tt.options.subscriptions(tt.conn) {
				got = append(got, tt.options.channel(tt.conn, held))
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestSources(t *testing.T) {
	tests := []struct {
		name    string
		server  string
		sources []string
		conn    int
		want    string // "" means the kernel's choice
	}{
		{"the first connections as the kernel chooses", "127.0.0.1:80", nil, connectionsPerSource - 1, ""},
		{"more from the next address", "127.0.0.1:80", nil, connectionsPerSource, "127.0.0.2"},
		{"another host as the kernel chooses", "192.0.2.1:80", nil, connectionsPerSource, ""},
		{"addresses of one's own in turn", "192.0.2.1:80", []string{"192.0.2.7", "192.0.2.8"}, connectionsPerSource, "192.0.2.8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source, bound := Options{Sources: tt.sources}.source(netip.MustParseAddrPort(tt.server), tt.conn)
			got := ""
			if bound {
				got = netip.AddrFrom4(source).String()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

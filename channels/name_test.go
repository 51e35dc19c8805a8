package channels_test

import (
	"testing"

	"resound/channels"
)

func TestKindOf(t *testing.T) {
	const (
		public    = channels.Public
		private   = channels.Private
		presence  = channels.Presence
		cache     = channels.Cache
		encrypted = channels.Encrypted
	)
	for _, row := range []struct {
		name string
		want channels.Kind
	}{
		{"news", public},
		{"", public},
		{"private-news", private},
		{"private-", private},
		{"presence-news", private | presence},
		{"presence-", private | presence},
		{"cache-news", cache},
		{"cache-", cache},
		{"private-cache-news", private | cache},
		{"presence-cache-news", private | presence | cache},
		{"private-encrypted-news", private | encrypted},
		{"private-encrypted-cache-news", private | encrypted | cache},
		{"private-encrypted-cache-", private | encrypted | cache},

		// Departs: Reverb tests these prefixes without their dash.
		{"privateer", public},
		{"private", public},
		{"presencex", public},
		{"presence", public},
		{"cachet", public},
		{"cache", public},
		{"private-encrypted", private},
		{"private-encryptedx", private},
		{"private-cache", private},
		{"private-cachet", private},
		{"private-encrypted-cache", private | encrypted},
		{"presence-cache", private | presence},

		{"my-cache-x", public},
		{"my-private-x", public},
		{"Private-news", public},
		{" private-news", public},
		{"cache-private-news", cache},
		{"cache-presence-news", cache},
		{"presence-private-news", private | presence},
		{"private-presence-news", private},
		{"presence-encrypted-news", private | presence},
		{channels.ServerToUserPrefix + "5", public},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := channels.KindOf(row.name); got != row.want {
				t.Errorf("got %04b, want %04b", got, row.want)
			}
		})
	}
}

func TestKindIs(t *testing.T) {
	k := channels.KindOf("presence-cache-x")
	for _, row := range []struct {
		name string
		of   channels.Kind
		want bool
	}{
		{"one property", channels.Private, true},
		{"all its properties", channels.Private | channels.Presence | channels.Cache, true},
		{"none", channels.Public, true},
		{"one it lacks", channels.Encrypted, false},
		{"one it has and one it lacks", channels.Cache | channels.Encrypted, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := k.Is(row.of); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

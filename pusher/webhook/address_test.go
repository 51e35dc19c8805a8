package webhook

import (
	"net/netip"
	"testing"
)

func TestPrivateAddressesAreKnown(t *testing.T) {
	tests := []struct {
		address string
		public  bool
	}{
		{"8.8.8.8", true},
		{"172.15.255.255", true},
		{"172.32.0.0", true},
		{"100.63.255.255", true},
		{"192.0.1.1", true},
		{"2606:4700::1111", true},
		{"::ffff:8.8.8.8", true},
		{"0.0.0.0", false},
		{"0.1.2.3", false},
		{"10.0.0.1", false},
		{"100.64.0.1", false},
		{"100.100.100.200", false},
		{"127.0.0.1", false},
		{"127.9.9.9", false},
		{"169.254.169.254", false},
		{"172.16.0.1", false},
		{"192.0.0.192", false},
		{"192.168.1.1", false},
		{"198.19.0.1", false},
		{"224.0.0.1", false},
		{"240.0.0.1", false},
		{"255.255.255.255", false},
		{"::", false},
		{"::1", false},
		{"::ffff:127.0.0.1", false},
		{"::ffff:10.0.0.1", false},
		{"::127.0.0.1", false},
		{"64:ff9b::7f00:1", false},
		{"64:ff9b:1::1", false},
		{"2002:7f00:1::", false},
		{"2001::1", false},
		{"fc00::1", false},
		{"fd12:3456::1", false},
		{"fe80::1", false},
		{"fe80::1%eth0", false},
		{"fec0::1", false},
		{"ff02::1", false},
		{"::ffff:0:127.0.0.1", false},
		{"2001:10::1", false},
		{"2001:20::1", false},
		{"2001:1ff:ffff::1", false},
		{"2001:200::1", true},
		{"2a00:1450::1", true},
		{"3fff::1", false},
		{"3fff:1000::1", true},
		{"4000::1", false},
		{"5f00::1", false},
		{"192.88.99.1", false},
	}
	for _, tt := range tests {
		t.Run(tt.address, func(t *testing.T) {
			err := checkPublic(netip.MustParseAddr(tt.address))
			if got := err == nil; got != tt.public {
				t.Errorf("public = %v (%v), want %v", got, err, tt.public)
			}
		})
	}
}

func TestDialledAddressIsChecked(t *testing.T) {
	for address, want := range map[string]bool{"8.8.8.8:80": true, "127.0.0.1:80": false, "[::1]:80": false, "[fe80::1%lo]:80": false, "/run/x.sock": false, "localhost:80": false} {
		if err := controlPublic("tcp", address, nil); (err == nil) != want {
			t.Errorf("controlPublic(%q) = %v, want allowed = %v", address, err, want)
		}
	}
}

func TestHookToPrivateAddressIsRefusedAtOnce(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1/", "http://[::1]:80/", "https://169.254.169.254/latest"} {
		app := testApp("a", Hook{URL: url})
		if _, err := app.targets("resound", true); err == nil {
			t.Errorf("%s was accepted with deny_private_addresses", url)
		}
		if _, err := app.targets("resound", false); err != nil {
			t.Errorf("%s was refused without it: %v", url, err)
		}
	}
}

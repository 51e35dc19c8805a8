//go:build !race

package auth

import "testing"

func TestNothingIsAllocatedOnceWarm(t *testing.T) {
	s := NewSecret("7ad3773142a6692b25b8")
	dst := make([]byte, 0, 256)
	channel := string(s.AppendChannel(nil, "1.1", "presence-a", `{"user_id":1}`))
	user := string(s.AppendUser(nil, "1.1", `{"id":"1"}`))
	var q Query
	query := "auth_key=k&auth_timestamp=1353088179&auth_version=1.0&info=user%5Fcount&Filter=a+b"
	request := string(s.AppendRequest(nil, []byte("GET\n/apps/1/channels\n")))

	tests := []struct {
		name string
		run  func()
	}{
		{"VerifyChannel", func() { s.VerifyChannel(channel, "1.1", "presence-a", `{"user_id":1}`) }},
		{"VerifyUser", func() { s.VerifyUser(user, "1.1", `{"id":"1"}`) }},
		{"VerifyRequest", func() { s.VerifyRequest(request, dst[:0]) }},
		{"AppendChannel", func() { s.AppendChannel(dst[:0], "1.1", "private-a", "") }},
		{"AppendUser", func() { s.AppendUser(dst[:0], "1.1", "{}") }},
		{"AppendRequest", func() { s.AppendRequest(dst[:0], dst[:0]) }},
		{"AppendWebhook", func() { s.AppendWebhook(dst[:0], dst[:0]) }},
		{"SplitAuth", func() { SplitAuth("key:signature") }},
		{"Query", func() {
			_ = q.Parse(query)
			dst = q.AppendCanonical(dst[:0], "GET", "/apps/1/channels", "")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.run()
			if got := testing.AllocsPerRun(200, tt.run); got != 0 {
				t.Errorf("%v allocations, want 0", got)
			}
		})
	}
}

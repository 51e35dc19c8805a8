package rest

import (
	"encoding/json"
	"testing"

	"resound/auth"
	"resound/pusher"
)

func TestGrantChannel(t *testing.T) {
	masterKey := []byte("0123456789abcdef0123456789abcdef")
	tests := []struct {
		name        string
		body        string
		signed      string // what the signature is over
		channelData string
		secret      bool
	}{
		{"private", `{"socket_id":"1.2","channel_name":"private-a"}`, `1.2:private-a`, "", false},
		{
			"presence_with_channel_data", `{"socket_id":"1.2","channel_name":"presence-a","channel_data":"{\"user_id\": 7, \"user_info\":{}}"}`,
			`1.2:presence-a:{"user_id": 7, "user_info":{}}`, `{"user_id": 7, "user_info":{}}`, false,
		},
		{
			"presence_with_a_user", `{"socket_id":"1.2","channel_name":"presence-a","user_id":"7","user_info":{"name":"<é>"}}`,
			`1.2:presence-a:{"user_id":"7","user_info":{"name":"<é>"}}`, `{"user_id":"7","user_info":{"name":"<é>"}}`, false,
		},
		{
			"presence_with_a_numeric_user_without_info", `{"socket_id":"1.2","channel_name":"presence-a","user_id":0}`,
			`1.2:presence-a:{"user_id":0}`, `{"user_id":0}`, false,
		},
		{
			"channel_data_wins_over_user_id", `{"socket_id":"1.2","channel_name":"presence-a","user_id":"7","channel_data":"{\"user_id\":\"8\"}"}`,
			`1.2:presence-a:{"user_id":"8"}`, `{"user_id":"8"}`, false,
		},
		{
			"private_with_channel_data", `{"socket_id":"1.2","channel_name":"private-a","channel_data":"x"}`,
			`1.2:private-a:x`, `x`, false,
		},
		{"encrypted", `{"socket_id":"1.2","channel_name":"private-encrypted-a"}`, `1.2:private-encrypted-a`, "", true},
		{"encrypted_cache", `{"socket_id":"1.2","channel_name":"private-encrypted-cache-a"}`, `1.2:private-encrypted-cache-a`, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.EncryptionMasterKey = masterKey })
			got := f.call(appPath+"/auth", tt.body)
			if got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			want := map[string]string{"auth": appKey + ":" + hmacHex(tt.signed)}
			if tt.channelData != "" {
				want["channel_data"] = tt.channelData
			}
			if tt.secret {
				var request struct {
					Channel string `json:"channel_name"`
				}
				if err := json.Unmarshal([]byte(tt.body), &request); err != nil {
					t.Fatal(err)
				}
				want["shared_secret"] = auth.SharedSecret(request.Channel, masterKey)
			}
			text, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got.check(t, 200, string(text))
		})
	}
	t.Run("encrypted_without_a_master_key", func(t *testing.T) {
		got := newFixture(t, nil).call(appPath+"/auth", `{"socket_id":"1.2","channel_name":"private-encrypted-a"}`)
		got.check(t, 200, `{"auth":"`+appKey+":"+hmacHex("1.2:private-encrypted-a")+`"}`)
	})
}

func TestGrantUser(t *testing.T) {
	tests := []struct {
		name, body, userData string
	}{
		{"user_data_as_text", `{"socket_id":"1.2","user_data":"{\"id\": \"42\"}"}`, `{"id": "42"}`},
		{"user_data_as_an_object", `{"socket_id":"1.2","user_data":{"id":"42","user_info":{"a":[1]},"watchlist":["7"]}}`, `{"id":"42","user_info":{"a":[1]},"watchlist":["7"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := json.Marshal(map[string]string{
				"auth":      appKey + ":" + hmacHex("1.2::user::"+tt.userData),
				"user_data": tt.userData,
			})
			if err != nil {
				t.Fatal(err)
			}
			newFixture(t, nil).call(appPath+"/user_auth", tt.body).check(t, 200, string(text))
		})
	}
}

func TestGrantsAreRefused(t *testing.T) {
	const (
		noIdentity = `{"user_id":["The user id field is required when channel_data is not present."]}`
		noMember   = `{"channel_data":["The channel data field must be a JSON string of an object with a user_id."]}`
		noID       = `{"user_data":["The user data field must have an id that is a string and not empty."]}`
	)
	tests := []struct {
		name, path, body string
		status           int
		answer           string
	}{
		{"nothing", "/auth", `{}`, 422, `{"socket_id":["The socket id field is required."],"channel_name":["The channel name field is required."]}`},
		{"a_numeric_socket_id", "/auth", `{"socket_id":1.2,"channel_name":"private-a"}`, 422, `{"socket_id":["The socket id field must be a string."]}`},
		{"a_socket_id_without_a_dot", "/auth", `{"socket_id":"12","channel_name":"private-a"}`, 422, `{"socket_id":["The socket id field format is invalid."]}`},
		{"a_socket_id_that_signs_something_else", "/auth", `{"socket_id":"1.2:private-b","channel_name":"private-a"}`, 422, `{"socket_id":["The socket id field format is invalid."]}`},
		{"a_socket_id_with_a_line_end", "/auth", `{"socket_id":"1.2\n","channel_name":"private-a"}`, 422, `{"socket_id":["The socket id field format is invalid."]}`},
		{"a_public_channel", "/auth", `{"socket_id":"1.2","channel_name":"a"}`, 422, `{"channel_name":["The channel name field must begin with private- or presence-."]}`},
		{"a_channel_that_signs_an_identity", "/auth", `{"socket_id":"1.2","channel_name":"private-a:{\"user_id\":1}"}`, 422, `{"channel_name":["The channel name field must not contain a colon."]}`},
		{"a_users_channel", "/auth", `{"socket_id":"1.2","channel_name":"#server-to-user-1"}`, 422, `{"channel_name":["The channel name field must begin with private- or presence-."]}`},
		{"a_numeric_channel", "/auth", `{"socket_id":"1.2","channel_name":5}`, 422, `{"channel_name":["The channel name field must be a string."]}`},
		{"presence_without_identity", "/auth", `{"socket_id":"1.2","channel_name":"presence-a"}`, 422, noIdentity},
		{"presence_with_an_empty_user", "/auth", `{"socket_id":"1.2","channel_name":"presence-a","user_id":""}`, 422, noIdentity},
		{"presence_with_a_list_for_a_user", "/auth", `{"socket_id":"1.2","channel_name":"presence-a","user_id":[1]}`, 422, `{"user_id":["The user id field must be a string or a number."]}`},
		{"presence_with_channel_data_without_user", "/auth", `{"socket_id":"1.2","channel_name":"presence-a","channel_data":"{\"x\":1}"}`, 422, noMember},
		{"presence_with_channel_data_that_is_no_JSON", "/auth", `{"socket_id":"1.2","channel_name":"presence-a","channel_data":"{\"user_id\":1"}`, 422, noMember},
		{"presence_with_channel_data_as_an_object", "/auth", `{"socket_id":"1.2","channel_name":"presence-a","channel_data":{"user_id":1}}`, 422, noMember},
		{"private_with_numeric_channel_data", "/auth", `{"socket_id":"1.2","channel_name":"private-a","channel_data":1}`, 422, `{"channel_data":["The channel data field must be a string."]}`},
		{"a_user_without_data", "/user_auth", `{"socket_id":"1.2"}`, 422, `{"user_data":["The user data field is required."]}`},
		{"a_user_without_socket_id", "/user_auth", `{"user_data":{"id":"1"}}`, 422, `{"socket_id":["The socket id field is required."]}`},
		{"a_user_that_is_a_list", "/user_auth", `{"socket_id":"1.2","user_data":[1]}`, 422, `{"user_data":["The user data field must be an object or a JSON string of one."]}`},
		{"a_user_without_an_id", "/user_auth", `{"socket_id":"1.2","user_data":{"x":1}}`, 422, noID},
		{"a_user_with_a_numeric_id", "/user_auth", `{"socket_id":"1.2","user_data":{"id":1}}`, 422, noID},
		{"a_user_with_an_empty_id", "/user_auth", `{"socket_id":"1.2","user_data":{"id":""}}`, 422, noID},
		{"a_user_that_is_no_JSON", "/user_auth", `{"socket_id":"1.2","user_data":"42"}`, 422, noID},
		{"no_body", "/auth", "", 400, "Bad request. The body is empty"},
		{"no_body_for_a_user", "/user_auth", "", 400, "Bad request. The body is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newFixture(t, nil).do("POST", appPath+tt.path, tt.body).check(t, tt.status, tt.answer)
		})
	}
	t.Run("a_long_channel_name", func(t *testing.T) {
		f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxChannelNameBytes = 9 })
		f.call(appPath+"/auth", `{"socket_id":"1.2","channel_name":"private-ab"}`).check(t, 400, "Bad request. A channel name of 10 bytes is longer than 9 bytes.")
	})
}

package shield

import (
	"errors"
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	const auth = `"auth":"reverb-key:x"`
	tests := []struct {
		name    string
		channel string // empty signs in
		status  int
		body    string
		want    Grant
		err     string // empty: a grant
	}{
		{"private", "private-a", 200, `{` + auth + `}`, Grant{}, ""},
		{"private_with_channel_data", "private-a", 200, `{` + auth + `,"channel_data":"x"}`, Grant{ChannelData: "x"}, ""},
		{"private_with_null", "private-a", 200, `{` + auth + `,"channel_data":null,"shared_secret":null}`, Grant{}, ""},
		{"more_members", "private-a", 200, ` {"x":[{}],` + auth + `} `, Grant{}, ""},
		{"encrypted", "private-encrypted-a", 200, `{` + auth + `,"shared_secret":"c2VjcmV0"}`, Grant{SharedSecret: "c2VjcmV0"}, ""},
		{
			"presence", "presence-a", 200, `{` + auth + `,"channel_data":"{\"user_id\": \"7\",\"user_info\":{\"name\":\"<é>\"}}"}`,
			Grant{ChannelData: `{"user_id": "7","user_info":{"name":"<é>"}}`},
			"",
		},
		{"presence_with_a_number", "presence-cache-a", 200, `{` + auth + `,"channel_data":"{\"user_id\":0}"}`, Grant{ChannelData: `{"user_id":0}`}, ""},
		{"presence_for_who_is_signed_in", "presence-a", 200, `{` + auth + `}`, Grant{}, ""},
		{"user", "", 200, `{` + auth + `,"user_data":"{\"id\":\"42\"}"}`, Grant{UserData: `{"id":"42"}`}, ""},

		{"forbidden", "private-a", 403, `{` + auth + `}`, Grant{}, "refused with status 403"},
		{"unauthenticated", "private-a", 401, `{"message":"Unauthenticated."}`, Grant{}, "refused with status 401"},
		{"an_expired_page", "private-a", 419, ``, Grant{}, "refused with status 419"},

		{"an_error", "private-a", 500, `{` + auth + `}`, Grant{}, "answered with status 500"},
		{"maintenance", "private-a", 503, `{` + auth + `}`, Grant{}, "answered with status 503"},
		{"too_slow_itself", "private-a", 408, ``, Grant{}, "answered with status 408"},
		{"created", "private-a", 201, `{` + auth + `}`, Grant{}, "answered with status 201"},
		{"nothing", "private-a", 200, ``, Grant{}, "not a JSON object"},
		{"a_page", "private-a", 200, `<html>`, Grant{}, "not a JSON object"},
		{"null", "private-a", 200, `null`, Grant{}, "not a JSON object"},
		{"true", "private-a", 200, `true`, Grant{}, "not a JSON object"},
		{"a_list", "private-a", 200, `[{` + auth + `}]`, Grant{}, "not a JSON object"},
		{"half_an_object", "private-a", 200, `{` + auth, Grant{}, "not a JSON object"},
		{"an_object_and_more", "private-a", 200, `{` + auth + `}{}`, Grant{}, "not a JSON object"},
		{"deeply_nested", "private-a", 200, `{` + auth + `,"x":` + strings.Repeat("[", 20_000), Grant{}, "not a JSON object"},
		{"longer_than_the_limit", "private-a", 200, `{` + auth + `,"x":"` + strings.Repeat("x", maxAnswerBytes) + `"}`, Grant{}, "the answer is longer than 65536 bytes"},
		{"no_auth", "private-a", 200, `{}`, Grant{}, "no auth of the form key:signature"},
		{"an_auth_in_other_letters", "private-a", 200, `{"Auth":"reverb-key:x"}`, Grant{}, "no auth of the form key:signature"},
		{"auth_without_signature", "private-a", 200, `{"auth":"reverb-key:"}`, Grant{}, "no auth of the form key:signature"},
		{"auth_without_key", "private-a", 200, `{"auth":"x"}`, Grant{}, "no auth of the form key:signature"},
		{"an_auth_that_is_an_object", "private-a", 200, `{"auth":{}}`, Grant{}, "auth of the answer is not a string"},
		{"the_key_of_another_app", "private-a", 200, `{"auth":"other-key:x"}`, Grant{}, "the key of another app"},
		{"a_key_that_begins_like_ours", "private-a", 200, `{"auth":"reverb-key2:x"}`, Grant{}, "the key of another app"},
		{"of_two_auths_the_last_counts", "private-a", 200, `{` + auth + `,"auth":"other-key:x"}`, Grant{}, "the key of another app"},
		{"presence_data_as_part_of_the_name", `presence-a:{"user_id":"7"}`, 200, `{` + auth + `}`, Grant{}, "no channel_data, which a name with a colon needs"},
		{"presence_data_as_an_object", "presence-a", 200, `{` + auth + `,"channel_data":{"user_id":"7"}}`, Grant{}, "channel_data of the answer is not a string"},
		{"presence_data_that_is_no_JSON", "presence-a", 200, `{` + auth + `,"channel_data":"user_id"}`, Grant{}, "channel_data of the answer has no user_id"},
		{"presence_without_user_id", "presence-a", 200, `{` + auth + `,"channel_data":"{\"id\":\"7\"}"}`, Grant{}, "channel_data of the answer has no user_id"},
		{"presence_with_an_empty_user_id", "presence-a", 200, `{` + auth + `,"channel_data":"{\"user_id\":\"\"}"}`, Grant{}, "channel_data of the answer has no user_id"},
		{"presence_with_null", "presence-a", 200, `{` + auth + `,"channel_data":"{\"user_id\":null}"}`, Grant{}, "channel_data of the answer has no user_id"},
		{"presence_with_a_list", "presence-a", 200, `{` + auth + `,"channel_data":"{\"user_id\":[7]}"}`, Grant{}, "channel_data of the answer has no user_id"},
		{"presence_with_true", "presence-a", 200, `{` + auth + `,"channel_data":"{\"user_id\":true}"}`, Grant{}, "channel_data of the answer has no user_id"},
		{"a_secret_that_is_a_number", "private-encrypted-a", 200, `{` + auth + `,"shared_secret":5}`, Grant{}, "shared_secret of the answer is not a string"},
		{"a_channel_answer_to_a_sign-in", "", 200, `{` + auth + `}`, Grant{}, "no user_data with an id"},
		{"user_data_as_an_object", "", 200, `{` + auth + `,"user_data":{"id":"42"}}`, Grant{}, "user_data of the answer is not a string"},
		{"user_with_a_number", "", 200, `{` + auth + `,"user_data":"{\"id\":42}"}`, Grant{}, "no user_data with an id"},
		{"user_without_id", "", 200, `{` + auth + `,"user_data":"{}"}`, Grant{}, "no user_data with an id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApplication(t, answers(tt.status, tt.body))
			s := newShield(t, app.URL+"/broadcasting/auth", nil)
			got, err := s.Ask(question(tt.channel, "me"))
			if got != tt.want {
				t.Errorf("granted %+v, want %+v", got, tt.want)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if no := new(Refusal); errors.As(err, &no) != (tt.status > 400 && tt.status < 500 && tt.status != 408) {
				t.Errorf("error %T with status %d", err, tt.status)
			}
			if n := app.asked.Load(); n != 1 {
				t.Errorf("%d questions, want 1", n)
			}
		})
	}
}

// FuzzAnswer: what is not signed with the app's key is never a grant, and
// nothing panics.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"auth":"reverb-key:x","channel_data":"{\"user_id\":1}"}`, "presence-a")
	f.Add(`{"auth":"reverb-key:x","user_data":"{\"id\":\"1\"}"}`, "")
	f.Add(`{"auth":"other:x"}`, "private-a")
	f.Fuzz(func(t *testing.T, body, channel string) {
		g, err := readGrant(&Question{Channel: channel}, appKey, []byte(body))
		switch {
		case err != nil:
			if g != (Grant{}) {
				t.Errorf("grant %+v beside the error %v", g, err)
			}
		// Without channel_data it is who is signed in, where the name leaves no doubt.
		case channel == "" && g.UserData == "", strings.HasPrefix(channel, "presence-") && strings.Contains(channel, ":") && g.ChannelData == "":
			t.Errorf("granted without an identity: %q", body)
		}
		if other, err := readGrant(&Question{Channel: channel}, "another-key", []byte(body)); err == nil && !strings.Contains(body, "another-key") && !strings.Contains(body, `\`) {
			t.Errorf("granted %+v without the app's key: %q", other, body)
		}
	})
}

package rest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"resound/pusher"
)

func TestSignature(t *testing.T) {
	const (
		body    = `{"name":"e","channel":"a","data":"x"}`
		invalid = "Authentication signature invalid. "
		wrong   = invalid + "auth_signature does not match"
	)
	at := func(d time.Duration) map[string]string {
		return map[string]string{"auth_timestamp": fmt.Sprint(testNow.Add(d).Unix())}
	}
	sum := md5.Sum([]byte(body))
	digest := hex.EncodeToString(sum[:])
	empty := md5.Sum(nil)
	digestOfNothing := hex.EncodeToString(empty[:])
	signed := func(params map[string]string) string { return sign("POST", eventsPath, params, body) }
	channelsPath := "/apps/" + appID + "/channels"

	tests := []struct {
		name   string
		change func(*Options, *pusher.AppOptions)
		target string
		body   string
		status int
		answer string
	}{
		{"as_client_libraries_sign", nil, eventsPath + "?" + signed(nil), body, 200, `{}`},
		{"without_auth_version", nil, eventsPath + "?" + signed(map[string]string{"auth_version": ""}), body, 200, `{}`},
		{"another_auth_version", nil, eventsPath + "?" + signed(map[string]string{"auth_version": "2.0"}), body, 401, invalid + "auth_version must be 1.0."},
		{"600_s_old", nil, eventsPath + "?" + signed(at(-600*time.Second)), body, 200, `{}`},
		{"601_s_old", nil, eventsPath + "?" + signed(at(-601*time.Second)), body, 401, invalid + "auth_timestamp is 601 s old; allowed are 600 s."},
		{"600_s_ahead", nil, eventsPath + "?" + signed(at(600*time.Second)), body, 200, `{}`},
		{"601_s_ahead", nil, eventsPath + "?" + signed(at(601*time.Second)), body, 401, invalid + "auth_timestamp is 601 s ahead; allowed are 600 s."},
		{"timestamp_1", nil, eventsPath + "?" + signed(map[string]string{"auth_timestamp": "1"}), body, 401, invalid + "auth_timestamp is 1699999999 s old"},
		{"no_timestamp", nil, eventsPath + "?" + signed(map[string]string{"auth_timestamp": ""}), body, 401, invalid + "auth_timestamp is missing."},
		{"a_timestamp_in_words", nil, eventsPath + "?" + signed(map[string]string{"auth_timestamp": "now"}), body, 401, invalid + "auth_timestamp must be a whole number"},
		{"an_endless_timestamp", nil, eventsPath + "?" + signed(map[string]string{"auth_timestamp": "-9223372036854775808"}), body, 401, invalid + "auth_timestamp must be a whole number"},
		{"timestamp_1_when_not_checked", func(o *Options, _ *pusher.AppOptions) { o.SkipTimestampCheck = true }, eventsPath + "?" + signed(map[string]string{"auth_timestamp": "1"}), body, 200, `{}`},
		{"no_timestamp_when_not_checked", func(o *Options, _ *pusher.AppOptions) { o.SkipTimestampCheck = true }, eventsPath + "?" + signed(map[string]string{"auth_timestamp": ""}), body, 200, `{}`},
		{"no_query", nil, eventsPath, body, 401, invalid + "auth_key is missing"},
		{"another_key", nil, eventsPath + "?" + signed(map[string]string{"auth_key": "other"}), body, 401, invalid + "auth_key is not the key of this application."},
		{"the_key_in_upper_case", nil, eventsPath + "?" + signed(map[string]string{"auth_key": "REVERB-KEY"}), body, 401, invalid + "auth_key is not the key of this application."},
		{"no_signature", nil, eventsPath + "?" + strings.Split(signed(nil), "&auth_signature=")[0], body, 401, invalid + "auth_signature is missing."},
		{"an_empty_signature", nil, eventsPath + "?" + strings.Split(signed(nil), "&auth_signature=")[0] + "&auth_signature=", body, 401, wrong},
		{"a_signature_in_upper_case", nil, eventsPath + "?" + upperSignature(signed(nil)), body, 401, wrong},
		{"another_method_was_signed", nil, eventsPath + "?" + sign("PUT", eventsPath, nil, body), body, 401, wrong},
		{"another_path_was_signed", nil, eventsPath + "?" + sign("POST", batchPath, nil, body), body, 401, wrong},
		{"a_parameter_was_added", nil, eventsPath + "?" + signed(nil) + "&info=user_count", body, 401, wrong},
		{"a_parameter_of_authentication_twice", nil, eventsPath + "?" + signed(nil) + "&auth_timestamp=" + fmt.Sprint(testNow.Unix()+1), body, 401, wrong},
		{"the_order_does_not_matter", nil, eventsPath + "?" + reversed(signed(nil)), body, 200, `{}`},
		{"keys_in_upper_case", nil, eventsPath + "?" + strings.Replace(signed(nil), "auth_key=", "AUTH_KEY=", 1), body, 200, `{}`},
		{"another_body", nil, eventsPath + "?" + signed(nil), strings.Replace(body, "x", "y", 1), 401, invalid + "body_md5 is not the lower-case hex MD5 of the 37 bytes of body"},
		{"no_body_md5_in_the_query", nil, eventsPath + "?" + strings.Replace(signed(nil), "body_md5="+digest+"&", "", 1), body, 200, `{}`},
		{"another_body_without_body_md5_in_the_query", nil, eventsPath + "?" + strings.Replace(signed(nil), "body_md5="+digest+"&", "", 1), body + " ", 401, wrong},
		{"body_md5_in_upper_case", nil, eventsPath + "?" + signed(map[string]string{"body_md5": strings.ToUpper(digest)}), body, 401, invalid + "body_md5 is not"},
		{"an_empty_body_with_its_md5", nil, eventsPath + "?" + sign("POST", eventsPath, map[string]string{"body_md5": digestOfNothing}, ""), "", 400, "Bad request. The body is empty"},
		{"the_body_was_dropped", nil, eventsPath + "?" + signed(nil), "", 401, invalid + "body_md5 is not the lower-case hex MD5 of the 0 bytes"},
		{"129_parameters", nil, eventsPath + "?" + signed(nil) + strings.Repeat("&", 3) + manyParams(129), body, 400, "Bad request: the query has more than 128 parameters."},
		{"a_query_without_a_body", nil, channelsPath + "?" + sign("GET", channelsPath, nil, ""), "", 200, `{"channels":{}}`},
		{"an_array_is_signed_joined", nil, channelsPath + "?" + strings.Replace(sign("GET", channelsPath, map[string]string{"info": "user_count,x"}, ""), "info=user_count%2Cx", "info[]=user_count&info[]=x", 1), "", 200, `{"channels":{}}`},
		{"values_are_signed_without_escapes", nil, channelsPath + "?" + sign("GET", channelsPath, map[string]string{"filter_by_prefix": "a b+c&d=é"}, ""), "", 200, `{"channels":{}}`},
		{"an_escaped_path_signed_as_sent", nil, channelsPath + "/a%2Cb?" + sign("GET", channelsPath+"/a%2Cb", nil, ""), "", 200, `{"occupied":false}`},
		{"an_escaped_path_signed_before", nil, channelsPath + "/a%2Cb?" + sign("GET", channelsPath+"/a,b", nil, ""), "", 200, `{"occupied":false}`},
		{"an_escaped_path_signed_as_another", nil, channelsPath + "/a%2Cb?" + sign("GET", channelsPath+"/a,c", nil, ""), "", 401, wrong},
		{"a_prefix_that_is_not_signed", prefixed, "/ws" + eventsPath + "?" + signed(nil), body, 200, `{}`},
		{"a_prefix_that_is_signed", prefixed, "/ws" + eventsPath + "?" + sign("POST", "/ws"+eventsPath, nil, body), body, 200, `{}`},
		{"another_prefix_is_signed", prefixed, "/ws" + eventsPath + "?" + sign("POST", "/wt"+eventsPath, nil, body), body, 401, wrong},
		{"an_escaped_path_behind_a_signed_prefix", prefixed, "/ws" + channelsPath + "/a%2Cb?" + sign("GET", "/ws"+channelsPath+"/a,b", nil, ""), "", 200, `{"occupied":false}`},
		{"an_absolute_target", nil, "http://x" + channelsPath + "?" + sign("GET", channelsPath, nil, ""), "", 200, `{"channels":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.change)
			method := "POST"
			if strings.Contains(tt.target, "/channels") {
				method = "GET"
			}
			f.send(method, tt.target, tt.body).check(t, tt.status, tt.answer)
			want := uint64(0)
			if tt.status == 401 {
				want = 1
			}
			if got := f.server.Stats().SignatureFailures; got != want {
				t.Errorf("SignatureFailures = %d, want %d", got, want)
			}
		})
	}
}

func prefixed(o *Options, _ *pusher.AppOptions) { o.Path = "/ws" }

func upperSignature(query string) string {
	before, signature, _ := strings.Cut(query, "&auth_signature=")
	return before + "&auth_signature=" + strings.ToUpper(signature)
}

func reversed(query string) string {
	pairs := strings.Split(query, "&")
	for i, j := 0, len(pairs)-1; i < j; i, j = i+1, j-1 {
		pairs[i], pairs[j] = pairs[j], pairs[i]
	}
	return strings.Join(pairs, "&")
}

func manyParams(n int) string {
	values := url.Values{}
	for i := range n {
		values.Set(fmt.Sprint("p", i), "1")
	}
	return values.Encode()
}

func TestPrefixIsPartOfEveryRoute(t *testing.T) {
	tests := []struct {
		name, path, target string
		status             int
		answer             string
	}{
		{"with_the_prefix", "/ws", "/ws/up", 200, `{"health":"OK"}`},
		{"42_without_the_prefix", "/ws", "/up", 404, "Not found."},
		{"a_longer_segment", "/ws", "/wsx/up", 404, "Not found."},
		{"the_prefix_alone", "/ws", "/ws", 404, "Not found."},
		{"the_prefix_twice", "/ws", "/ws/ws/up", 404, "Not found."},
		{"the_prefix_written_without_slash", "ws/", "/ws/up", 200, `{"health":"OK"}`},
		{"two_segments", "/a/b", "/a/b/up", 200, `{"health":"OK"}`},
		{"a_slash_is_no_prefix", "/", "/up", 200, `{"health":"OK"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(o *Options, _ *pusher.AppOptions) { o.Path = tt.path })
			f.send("GET", tt.target, "").check(t, tt.status, tt.answer)
		})
	}
}

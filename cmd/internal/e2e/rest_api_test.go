package e2e

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAPIRefusesBadRequests(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	api := s.api()
	old := strconv.FormatInt(time.Now().Add(-11*time.Minute).Unix(), 10)
	early := strconv.FormatInt(time.Now().Add(11*time.Minute).Unix(), 10)
	tests := []struct {
		name       string
		app        credentials
		route      string
		parameters map[string]string
		body       string
		status     int
	}{
		{"an unknown app", credentials{"7", testApp.key, testApp.secret}, "/events", nil, `{}`, 404},
		{"a wrong secret", credentials{testApp.id, testApp.key, "wrong"}, "/events", nil, `{}`, 401},
		{"the key of another app", credentials{testApp.id, "wrong", testApp.secret}, "/events", nil, `{}`, 401},
		{"an old signature", testApp, "/events", map[string]string{"auth_timestamp": old}, `{}`, 401},
		{"a signature of the future", testApp, "/events", map[string]string{"auth_timestamp": early}, `{}`, 401},
		{"a body that is no JSON", testApp, "/events", nil, `{`, 400},
		{"an event without a name", testApp, "/events", nil, `{"channel":"c","data":"{}"}`, 422},
		{"an event without data", testApp, "/events", nil, `{"name":"e","channel":"c"}`, 422},
		{"an event without a channel", testApp, "/events", nil, `{"name":"e","data":"{}"}`, 422},
		{"data that is no string", testApp, "/events", nil, `{"name":"e","channel":"c","data":{}}`, 422},
		{"a body over the limit", testApp, "/events", nil, pad(`{"name":"e","channel":"c","data":"`, 10_001, `"}`), 413},
		{"a batch that is empty", testApp, "/batch_events", nil, `{"batch":[]}`, 422},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := rest{s, tt.app}.do(t, http.MethodPost, tt.route, tt.parameters, tt.body)
			if got.status != tt.status || got.body == "" || got.header.Get("Content-Length") == "" {
				t.Errorf("%d %q with Content-Length %q, want %d with a text", got.status, got.body, got.header.Get("Content-Length"), tt.status)
			}
		})
	}

	t.Run("a body that is not the signed one", func(t *testing.T) {
		path := "/apps/" + testApp.id + "/events"
		query := api.signedQuery(http.MethodPost, path, nil, `{"name":"e","channel":"c","data":"a"}`)
		got := request(t, http.MethodPost, s.url(path)+"?"+query, `{"name":"e","channel":"c","data":"b"}`)
		if got.status != http.StatusUnauthorized {
			t.Errorf("%d %q, want 401", got.status, got.body)
		}
	})
	t.Run("no signature", func(t *testing.T) {
		got := request(t, http.MethodGet, s.url("/apps/"+testApp.id+"/channels"), "")
		if got.status != http.StatusUnauthorized {
			t.Errorf("%d %q, want 401", got.status, got.body)
		}
	})
}

func TestAPISignsForApplications(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	for _, tt := range []struct{ name, channel, fields, channelData string }{
		{"a private channel", "private-orders", ``, ``},
		{"a presence channel", "presence-room", `,"user_id":"7","user_info":{"name":"Ann"}`, `{"user_id":"7","user_info":{"name":"Ann"}}`},
		{"a presence channel with its data", "presence-hall", `,"channel_data":"{\"user_id\":\"8\"}"`, `{"user_id":"8"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := open(t, s)
			got := s.api().do(t, http.MethodPost, "/auth", nil, `{"socket_id":`+quote(k.id)+`,"channel_name":`+quote(tt.channel)+tt.fields+`}`)
			var reply struct {
				Auth        string `json:"auth"`
				ChannelData string `json:"channel_data"`
			}
			if err := json.Unmarshal([]byte(got.body), &reply); err != nil || got.status != http.StatusOK {
				t.Fatalf("POST /auth = %d %s, want 200", got.status, got.body)
			}
			if !strings.HasPrefix(reply.Auth, testApp.key+":") {
				t.Errorf("auth %q, want it to begin with the key", reply.Auth)
			}
			if tt.channelData != "" && !sameJSON(reply.ChannelData, tt.channelData) {
				t.Errorf("channel_data %s, want %s", reply.ChannelData, tt.channelData)
			}
			k.subscribeAuth(t, tt.channel, reply.Auth, reply.ChannelData)
			if got := decode(t, k.next(t)); got.Event != "pusher_internal:subscription_succeeded" {
				t.Errorf("received %s, want pusher_internal:subscription_succeeded", got.Event)
			}
		})
	}
	t.Run("a user", func(t *testing.T) {
		const userData = `{"id":"7","user_info":{"name":"Ann"}}`
		got := s.api().do(t, http.MethodPost, "/user_auth", nil, `{"socket_id":"1.2","user_data":`+quote(userData)+`}`)
		want := `{"auth":` + quote(testApp.key+":"+sign(testApp.secret, "1.2::user::"+userData)) + `,"user_data":` + quote(userData) + `}`
		if got.status != http.StatusOK || !sameJSON(got.body, want) {
			t.Errorf("POST /user_auth = %d %s, want 200 %s", got.status, got.body, want)
		}
	})
}

func TestHealthChecks(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	if got := request(t, http.MethodGet, s.url("/up"), ""); got.status != 200 || !sameJSON(got.body, `{"health":"OK"}`) {
		t.Errorf("GET /up = %d %s, want 200 {\"health\":\"OK\"}", got.status, got.body)
	}
	if got := request(t, http.MethodGet, s.url("/ready"), ""); got.status != 200 {
		t.Errorf("GET /ready = %d %s, want 200", got.status, got.body)
	}
}

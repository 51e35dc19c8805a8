package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// doQuery sends a signed request whose query is parameters and what signs them.
// signed is the part of the canonical string behind body_md5, and may be empty:
// what the parameters become whose names sort there.
func (r rest) doQuery(t *testing.T, route, parameters, signed string) answer {
	t.Helper()
	path := "/apps/" + r.app.id + route
	authentication := "auth_key=" + r.app.key + "&auth_timestamp=" + strconv.FormatInt(time.Now().Unix(), 10) + "&auth_version=1.0"
	signature := sign(r.app.secret, "POST\n"+path+"\n"+authentication+"&"+signed)
	return request(t, http.MethodPost, r.server.url(path)+"?"+authentication+"&"+parameters+"&auth_signature="+signature, "")
}

func TestAPITakesTheParametersOfATriggerInTheQuery(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	ann, bob := open(t, s), open(t, s)
	for _, channel := range []string{"news", "sport"} {
		ann.join(t, channel, "")
		bob.join(t, channel, "")
	}
	tests := []struct {
		name, parameters, signed, answer string
		want                             []string // messages to bob, who is not excluded
	}{
		{
			name: "one channel", parameters: "channel=news&data=one&name=Happened&socket_id=" + ann.id,
			signed: "channel=news&data=one&name=Happened&socket_id=" + ann.id, answer: `{}`,
			want: []string{`{"event":"Happened","channel":"news","data":"one"}`},
		},
		{
			// Pusher: arrays in a query.
			name: "several channels", parameters: "channels[]=news&channels[]=sport&data=two&info=subscription_count&name=Happened&socket_id=" + ann.id,
			signed: "channels=news,sport&data=two&info=subscription_count&name=Happened&socket_id=" + ann.id,
			answer: `{"channels":{"news":{"subscription_count":2},"sport":{"subscription_count":2}}}`,
			want:   []string{`{"event":"Happened","channel":"news","data":"two"}`, `{"event":"Happened","channel":"sport","data":"two"}`},
		},
		{
			name: "escapes, which are not signed", parameters: "channel=news&data=%7B%22text%22%3A%22gr%C3%BC%C3%9Fe%22%7D&name=Happened&socket_id=" + ann.id,
			signed: `channel=news&data={"text":"grüße"}&name=Happened&socket_id=` + ann.id, answer: `{}`,
			want: []string{`{"event":"Happened","channel":"news","data":"{\"text\":\"grüße\"}"}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.api().doQuery(t, "/events", tt.parameters, tt.signed)
			if got.status != http.StatusOK || !sameJSON(got.body, tt.answer) {
				t.Fatalf("POST /events = %d %s, want 200 %s", got.status, got.body, tt.answer)
			}
			for _, want := range tt.want {
				bob.expect(t, want)
			}
		})
	}
	// Nothing of it went to the socket that was excluded.
	s.api().trigger(t, "news", "Marked", `{}`)
	ann.expect(t, `{"event":"Marked","channel":"news","data":"{}"}`)
}

func TestAPIStillHasTheDeprecatedEndpoints(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	ann, bob := open(t, s), open(t, s)
	for _, k := range []*socket{ann, bob} {
		k.join(t, "news", "")
		k.join(t, "presence-room", memberOf("one user of both"))
	}
	t.Run("an event whose data is the body", func(t *testing.T) {
		const body = `{"text":"no string around it"}`
		got := s.api().do(t, http.MethodPost, "/channels/news/events", map[string]string{"name": "Happened", "socket_id": ann.id}, body)
		if got.status != http.StatusAccepted || got.body != "" {
			t.Errorf("POST /channels/news/events = %d %q, want 202 without a body", got.status, got.body)
		}
		bob.expect(t, `{"event":"Happened","channel":"news","data":`+quote(body)+`}`)
		s.api().trigger(t, "news", "Marked", `{}`)
		for _, k := range []*socket{ann, bob} {
			k.expect(t, `{"event":"Marked","channel":"news","data":"{}"}`)
		}
	})
	t.Run("an event without a name is refused", func(t *testing.T) {
		got := s.api().do(t, http.MethodPost, "/channels/news/events", nil, `{}`)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "name") {
			t.Errorf("POST /channels/news/events = %d %q, want 422 that says name", got.status, got.body)
		}
	})
	for channel, want := range map[string]string{
		"news":          `{"occupied":true,"connection_count":2,"user_count":0}`,
		"presence-room": `{"occupied":true,"connection_count":2,"user_count":1}`,
		"empty":         `{"occupied":false,"connection_count":0,"user_count":0}`,
	} {
		t.Run("the stats of "+channel, func(t *testing.T) {
			s.api().expect(t, "/channels/"+channel+"/stats", "", want)
		})
	}
}

func TestServerSpeaksTheProtocolVersionsThatClientsUse(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	refused := map[string]int{"?protocol=3": 4007, "?protocol=1": 4007, "?protocol=8": 4007, "?protocol=seven": 4006}
	for query, code := range refused {
		t.Run("refused "+query, func(t *testing.T) {
			k := dialQuery(t, s, testApp, query+"&client=js&version=1.12", nil)
			got := decode(t, k.next(t))
			if got.Event != "pusher:error" || !strings.Contains(string(got.Data), strconv.Itoa(code)) {
				t.Errorf("received %s %s, want pusher:error %d", got.Event, got.Data, code)
			}
			if closed := k.expectClose(t, code); closed.Reason == "" {
				t.Errorf("close %d without a reason", code)
			}
		})
	}
	for _, query := range []string{"", "?protocol=4", "?protocol=5", "?protocol=6", "?client=js&protocol=7"} {
		t.Run("taken "+query, func(t *testing.T) {
			k := dialQuery(t, s, testApp, query, nil)
			if got := decode(t, k.next(t)); got.Event != "pusher:connection_established" {
				t.Errorf("received %s %s, want pusher:connection_established", got.Event, got.Data)
			}
		})
	}
}

func TestBackendIsToldWhatDoesNotApply(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{env: map[string]string{"RESOUND_APP_STRICT_INFO": "true"}})
	s.backend(t)
	s.pusher(t, "ann", testApp.key, s.as("ann"))
	for _, channel := range []string{"news", "presence-room", "cache-price"} {
		s.subscribeRaw(t, "ann", channel)
	}
	tests := []struct {
		path, info, prefix string
		status             int
		body               string // JSON; empty for any text
	}{
		{"/channels/news", "user_count", "", 400, ""},
		{"/channels/news", "cache", "", 400, ""},
		{"/channels/presence-room", "subscription_count", "", 400, ""},
		{"/channels", "user_count", "", 400, ""},
		{"/channels/news/users", "", "", 400, ""},
		{"/channels/news", "subscription_count", "", 200, `{"occupied":true,"subscription_count":1}`},
		{"/channels/presence-room", "user_count", "", 200, `{"occupied":true,"user_count":1}`},
		{"/channels", "user_count", "presence-", 200, `{"channels":{"presence-room":{"user_count":1}}}`},
		{"/channels/cache-price", "cache", "", 200, `{"occupied":true,"cache":null}`},
	}
	for _, tt := range tests {
		t.Run(strings.TrimSpace(tt.info+" of "+tt.path+" "+tt.prefix), func(t *testing.T) {
			parameters := map[string]any{}
			for name, value := range map[string]string{"info": tt.info, "filter_by_prefix": tt.prefix} {
				if value != "" {
					parameters[name] = value
				}
			}
			status, body := s.callRaw(t, "get", map[string]any{"path": tt.path, "params": parameters})
			if status != tt.status || body == "" || tt.body != "" && !sameJSON(body, tt.body) {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.body)
			}
		})
	}
}

package e2e

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // The HTTP API asks for MD5.
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sign returns the HMAC-SHA256 of text in lower-case hex.
//
// Pusher: authentication signatures.
func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// rest calls the HTTP API of one app.
type rest struct {
	server *server
	app    credentials
}

// api returns the HTTP API of the test app.
func (s *server) api() rest { return rest{s, testApp} }

// answer is the answer to an HTTP request.
type answer struct {
	status int
	header http.Header
	body   string
}

// signedQuery returns the query of a request. The parameters need no escaping.
//
// Pusher: REST API, "Authentication".
func (r rest) signedQuery(method, path string, parameters map[string]string, body string) string {
	query := map[string]string{
		"auth_key":       r.app.key,
		"auth_timestamp": strconv.FormatInt(time.Now().Unix(), 10),
		"auth_version":   "1.0",
	}
	maps.Copy(query, parameters)
	if body != "" {
		digest := md5.Sum([]byte(body)) //nolint:gosec // as above
		query["body_md5"] = hex.EncodeToString(digest[:])
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		pairs = append(pairs, name+"="+query[name])
	}
	signed := strings.Join(pairs, "&")
	return signed + "&auth_signature=" + sign(r.app.secret, method+"\n"+path+"\n"+signed)
}

// do sends a signed request. The route begins behind /apps/{id}.
func (r rest) do(t *testing.T, method, route string, parameters map[string]string, body string) answer {
	t.Helper()
	path := "/apps/" + r.app.id + route
	url := r.server.url(path) + "?" + r.signedQuery(method, path, parameters, body)
	return request(t, method, url, body)
}

// get sends a signed GET; info may be empty.
func (r rest) get(t *testing.T, route, info string) answer {
	t.Helper()
	if info == "" {
		return r.do(t, http.MethodGet, route, nil, "")
	}
	return r.do(t, http.MethodGet, route, map[string]string{"info": info}, "")
}

// expect asks for a route and compares the answer's body as JSON.
func (r rest) expect(t *testing.T, route, info, want string) {
	t.Helper()
	got := r.get(t, route, info)
	if got.status != http.StatusOK || !sameJSON(got.body, want) {
		t.Errorf("GET %s info=%s = %d %s, want 200 %s", route, info, got.status, got.body, want)
	}
}

// eventually asks for a route until the answer's body is want: for what follows
// from a connection that goes away.
func (r rest) eventually(t *testing.T, route, info, want string) {
	t.Helper()
	eventually(t, "GET "+route+" answers "+want, func() bool { return sameJSON(r.get(t, route, info).body, want) })
}

// trigger publishes an event as Laravel does. The data is the text of the event.
func (r rest) trigger(t *testing.T, channel, event, data string) {
	t.Helper()
	r.post(t, "/events", map[string]any{"name": event, "channel": channel, "data": data}, `{}`)
}

// post sends a signed POST and compares the answer's body as JSON.
func (r rest) post(t *testing.T, route string, body any, want string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	got := r.do(t, http.MethodPost, route, nil, string(text))
	if got.status != http.StatusOK || !sameJSON(got.body, want) {
		t.Fatalf("POST %s %s = %d %s, want 200 %s", route, text, got.status, got.body, want)
	}
}

// request sends one request on a connection of its own.
func request(t *testing.T, method, url, body string) answer {
	t.Helper()
	message, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	message.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(message)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

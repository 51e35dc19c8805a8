package wire

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// App is the credentials of the app under test.
type App struct {
	ID     string
	Key    string
	Secret string
}

// ParseApp reads ID:KEY:SECRET.
func ParseApp(s string) (App, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return App{}, fmt.Errorf("app has %d parts, want ID:KEY:SECRET with none empty", len(parts))
	}
	return App{ID: parts[0], Key: parts[1], Secret: parts[2]}, nil
}

// Sign returns the hex HMAC-SHA256 of text.
//
// Pusher: "Generating authentication signatures".
func Sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// Query returns the signed query of a POST of body to path at unixSeconds. path
// is what is signed: without the prefix under which the server may be mounted.
//
// Pusher: HTTP API, "Authentication".
func (a App) Query(path string, body []byte, unixSeconds int64) string {
	sum := md5.Sum(body)
	query := "auth_key=" + a.Key +
		"&auth_timestamp=" + strconv.FormatInt(unixSeconds, 10) +
		"&auth_version=1.0" +
		"&body_md5=" + hex.EncodeToString(sum[:])
	return query + "&auth_signature=" + Sign(a.Secret, "POST\n"+path+"\n"+query)
}

// AppendPost appends a whole signed keep-alive POST request to dst. prefix is the
// path under which the server is mounted, "" for none.
func (a App) AppendPost(dst []byte, host, prefix, path string, body []byte, unixSeconds int64) []byte {
	dst = fmt.Appendf(dst, "POST %s%s?%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		prefix, path, a.Query(path, body, unixSeconds), host, len(body))
	return append(dst, body...)
}

// AppendGet appends a whole signed keep-alive GET request to dst, with prefix as in
// AppendPost. path contains nothing that a URL escapes.
//
// Pusher: HTTP API, "Authentication".
func (a App) AppendGet(dst []byte, host, prefix, path string, unixSeconds int64) []byte {
	query := "auth_key=" + a.Key + "&auth_timestamp=" + strconv.FormatInt(unixSeconds, 10) + "&auth_version=1.0"
	signature := Sign(a.Secret, "GET\n"+path+"\n"+query)
	return fmt.Appendf(dst, "GET %s%s?%s&auth_signature=%s HTTP/1.1\r\nHost: %s\r\n\r\n", prefix, path, query, signature, host)
}

// UsersPath is the path of the members of a presence channel.
//
// Pusher: HTTP API, "GET users".
func (a App) UsersPath(channel string) string {
	return "/apps/" + a.ID + "/channels/" + channel + "/users"
}

// EventsPath is the path that triggers one event.
//
// Pusher: HTTP API, "POST event".
func (a App) EventsPath() string { return "/apps/" + a.ID + "/events" }

// BatchPath is the path that triggers up to MaxBatchEvents events.
//
// Pusher: HTTP API, "POST batch events".
func (a App) BatchPath() string { return "/apps/" + a.ID + "/batch_events" }

// MaxBatchEvents is how many events one batch request may carry.
//
// Pusher: HTTP API, "POST batch events".
const MaxBatchEvents = 10

// AppendTriggerBody appends the body that triggers one event. channel and data
// contain nothing that JSON escapes.
func AppendTriggerBody(dst []byte, channel string, data []byte) []byte {
	dst = append(dst, `{"name":"`+EventName+`","channel":"`+channel+`","data":"`...)
	dst = append(dst, data...)
	return append(dst, `"}`...)
}

// AppendBatchBody appends the body that triggers one event for each data.
func AppendBatchBody(dst []byte, channel string, data [][]byte) []byte {
	dst = append(dst, `{"batch":[`...)
	for i, d := range data {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendTriggerBody(dst, channel, d)
	}
	return append(dst, `]}`...)
}

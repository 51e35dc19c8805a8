package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// application is the Laravel application beside the server: it answers
// /broadcasting/auth and serves the page for Chromium.
type application struct {
	*httptest.Server
	app credentials
}

// masterKey is the application's key for encrypted channels.
const masterKey = "an application's key of 32 bytes"

// Users with a fate; everyone else is let into every channel.
const (
	forger   = "forger"   // gets signatures made with a wrong secret
	stranger = "stranger" // gets signatures for the key of another app
)

// serveApplication starts the application of an app.
func serveApplication(t *testing.T, app credentials) *application {
	t.Helper()
	a := &application{app: app}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /broadcasting/auth", a.authorize)
	for route, file := range map[string]string{
		"GET /page":      "page.html",
		"GET /pusher.js": "node_modules/pusher-js/dist/web/pusher-with-encryption.js",
		"GET /echo.js":   "node_modules/laravel-echo/dist/echo.iife.js",
	} {
		routes.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join("js", file))
		})
	}
	a.Server = httptest.NewServer(routes)
	t.Cleanup(a.Close)
	return a
}

// authorize answers the form that pusher-js sends. The bearer token is the name
// of the user.
//
// Pusher: channel authorization. Laravel: PusherBroadcaster::validAuthenticationResponse.
func (a *application) authorize(w http.ResponseWriter, r *http.Request) {
	user, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	socketID, channel := r.PostFormValue("socket_id"), r.PostFormValue("channel_name")
	if !found || socketID == "" || channel == "" {
		http.Error(w, "not a form of pusher-js", http.StatusForbidden)
		return
	}
	text, reply := socketID+":"+channel, map[string]string{}
	if strings.HasPrefix(channel, "presence-") {
		reply["channel_data"] = memberOf(user)
		text += ":" + reply["channel_data"]
	}
	if strings.HasPrefix(channel, "private-encrypted-") {
		secret := sha256.Sum256([]byte(channel + masterKey))
		reply["shared_secret"] = base64.StdEncoding.EncodeToString(secret[:])
	}
	key, secret := a.app.key, a.app.secret
	switch user {
	case forger:
		secret = "not the secret"
	case stranger:
		key = "not-the-key"
	}
	reply["auth"] = key + ":" + sign(secret, text)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply) // the client sees a cut answer
}

// memberOf is the channel data of a user. Laravel sends ids as strings.
func memberOf(user string) string {
	return `{"user_id":` + quote(user) + `,"user_info":{"name":` + quote(user) + `}}`
}

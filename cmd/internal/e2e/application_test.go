package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// application is the Laravel application beside the server: it answers
// /broadcasting/auth and /broadcasting/user-auth, and serves the page for
// Chromium.
type application struct {
	*httptest.Server
	app   credentials
	asked atomic.Int32 // questions so far
}

// masterKey is the application's key for encrypted channels.
const masterKey = "an application's key of 32 bytes"

// Users with a fate; everyone else is let into every channel.
const (
	forger   = "forger"   // gets signatures made with a wrong secret
	stranger = "stranger" // gets signatures for the key of another app
	banned   = "banned"   // gets 403
	lagging  = "lagging"  // gets no answer before it gives up
)

// staffRoom is a presence channel that the application lets signed-in users into
// without saying who they are: the server knows.
const staffRoom = "presence-staff"

// watchlists are the users of whom others want to know whether they are online.
var watchlists = map[string][]string{"ann": {"bob", "carol"}}

// serveApplication starts the application of an app.
func serveApplication(t *testing.T, app credentials) *application {
	t.Helper()
	a := &application{app: app}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /broadcasting/auth", a.admit(a.authorize))
	routes.HandleFunc("POST /broadcasting/user-auth", a.admit(a.authenticate))
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

// admit counts a question and finds out who asks it: the bearer token or else the
// cookie "user" is the name of the user.
func (a *application) admit(answer func(w http.ResponseWriter, r *http.Request, user string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		user, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if cookie, err := r.Cookie("user"); !found && err == nil {
			user, found = cookie.Value, true
		}
		// Read before waiting: a client that gives up is noticed only then.
		socketID := r.PostFormValue("socket_id")
		switch {
		case user == lagging:
			<-r.Context().Done()
		case !found || user == banned || socketID == "":
			http.Error(w, "not allowed, or not a form of pusher-js", http.StatusForbidden)
		default:
			answer(w, r, user)
		}
	}
}

// authorize answers the form that pusher-js sends for a channel.
//
// Pusher: channel authorization. Laravel: PusherBroadcaster::validAuthenticationResponse.
func (a *application) authorize(w http.ResponseWriter, r *http.Request, user string) {
	channel := r.PostFormValue("channel_name")
	if channel == "" {
		http.Error(w, "no channel", http.StatusForbidden)
		return
	}
	text, reply := r.PostFormValue("socket_id")+":"+channel, map[string]string{}
	if strings.HasPrefix(channel, "presence-") && channel != staffRoom {
		reply["channel_data"] = memberOf(user)
		text += ":" + reply["channel_data"]
	}
	if strings.HasPrefix(channel, "private-encrypted-") {
		secret := sha256.Sum256([]byte(channel + masterKey))
		reply["shared_secret"] = base64.StdEncoding.EncodeToString(secret[:])
	}
	a.reply(w, user, text, reply)
}

// authenticate answers the form that pusher-js sends to sign in.
//
// Pusher: user authentication. Laravel: PusherBroadcaster::resolveAuthenticatedUser.
func (a *application) authenticate(w http.ResponseWriter, r *http.Request, user string) {
	data := userOf(user)
	a.reply(w, user, r.PostFormValue("socket_id")+"::user::"+data, map[string]string{"user_data": data})
}

// reply signs text, rightly unless the user is to suffer, and sends the reply.
func (a *application) reply(w http.ResponseWriter, user, text string, reply map[string]string) {
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

// userOf is the user data of a user.
func userOf(user string) string {
	watchlist, err := json.Marshal(watchlists[user])
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return `{"id":` + quote(user) + `,"user_info":{"name":` + quote(user) + `},"watchlist":` + string(watchlist) + `}`
}

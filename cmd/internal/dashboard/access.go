package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxSessions is how many browsers may be logged in; the oldest is logged out
	// for one more.
	maxSessions = 64
	sessionFor  = 12 * time.Hour

	maxLinks = 16 // that wait to be used; the oldest ends for one more
	linkFor  = 24 * time.Hour

	// maxLogins is how many wrong passwords a minute may bring, from wherever: who
	// guesses has no second chance a second.
	maxLogins   = 10
	loginWindow = time.Minute

	maxFormBytes = 4096

	cookieName = "resound_session"

	// tokenHeader carries the session's token with what writes.
	tokenHeader = "X-CSRF-Token"
)

// Access says who may look.
type Access struct {
	Enabled  bool
	Open     bool   // everybody, by a name that is nobody else's
	Hostname string // of the server; may be empty
	Password string // empty: whoever has a link
}

// access knows who may look. Safe for concurrent use.
type access struct {
	options *Options
	open    string // token of pages that need no session
	origin  *http.CrossOriginProtection

	mu       sync.Mutex
	sessions []session // the oldest first
	links    []link    // the oldest first
	failures []time.Time
}

// session is a browser that is logged in. Only hashes of what it proves itself
// with are kept.
type session struct {
	id       [sha256.Size]byte
	token    string
	password string // that was asked for; another one ends the session
	until    time.Time
}

type link struct {
	hash  [sha256.Size]byte
	until time.Time
}

func newAccess(o *Options) *access {
	return &access{options: o, open: rand.Text(), origin: http.NewCrossOriginProtection()}
}

// newLink returns a token that begins one session.
func (a *access) newLink() string {
	token := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.links) == maxLinks {
		a.links = a.links[1:]
	}
	a.links = append(a.links, link{sha256.Sum256([]byte(token)), a.options.Now().Add(linkFor)})
	return token
}

// takeLink reports whether a token is good, and uses it up.
func (a *access) takeLink(token string) bool {
	hash := sha256.Sum256([]byte(token))
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.links {
		if subtle.ConstantTimeCompare(a.links[i].hash[:], hash[:]) == 1 {
			good := a.options.Now().Before(a.links[i].until)
			a.links = append(a.links[:i:i], a.links[i+1:]...)
			return good
		}
	}
	return false
}

// begin gives a browser a session.
func (a *access) begin(w http.ResponseWriter, r *http.Request) {
	id := rand.Text()
	s := session{sha256.Sum256([]byte(id)), rand.Text(), a.options.Access().Password, a.options.Now().Add(sessionFor)}
	a.mu.Lock()
	if len(a.sessions) == maxSessions {
		a.sessions = a.sessions[1:]
	}
	a.sessions = append(a.sessions, s)
	a.mu.Unlock()
	http.SetCookie(w, a.cookie(r, id, int(sessionFor/time.Second)))
}

func (a *access) cookie(r *http.Request, value string, seconds int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: a.options.Path + "/reverb", MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: a.options.Secure || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// end logs the browser of a request out.
func (a *access) end(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		hash := sha256.Sum256([]byte(c.Value))
		a.mu.Lock()
		for i := range a.sessions {
			if a.sessions[i].id == hash {
				a.sessions = append(a.sessions[:i:i], a.sessions[i+1:]...)
				break
			}
		}
		a.mu.Unlock()
	}
	http.SetCookie(w, a.cookie(r, "", -1))
}

// allows reports whether the browser of a request may look.
func (a *access) allows(r *http.Request) bool {
	_, ok := a.token(r)
	return ok
}

// token returns what the browser of a request must send with what writes.
func (a *access) token(r *http.Request) (string, bool) {
	now := a.options.Access()
	if now.Open && isOurs(r.Host, now.Hostname) {
		return a.open, true
	}
	c, err := r.Cookie(cookieName)
	if err != nil {
		return "", false
	}
	hash := sha256.Sum256([]byte(c.Value))
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.sessions {
		s := &a.sessions[i]
		if subtle.ConstantTimeCompare(s.id[:], hash[:]) == 1 && s.password == now.Password && a.options.Now().Before(s.until) {
			return s.token, true
		}
	}
	return "", false
}

// privateSuffixes are of names that nobody can register.
//
// RFC 2606 section 2, RFC 6761 section 6.3, RFC 6762 section 3; ICANN has reserved
// .internal.
var privateSuffixes = []string{".test", ".localhost", ".local", ".internal"}

// isOurs reports whether a Host header names the server in a way that no page of
// others can. A name of theirs may be made to lead here (DNS rebinding): the
// browser then takes their page for one of ours.
func isOurs(host, hostname string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && (!strings.Contains(host, ".") || strings.EqualFold(host, hostname) ||
		slices.ContainsFunc(privateSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) }))
}

// mayWrite reports whether a request that changes something comes from a page of
// ours.
func (a *access) mayWrite(r *http.Request) bool {
	token, ok := a.token(r)
	return ok && a.origin.Check(r) == nil && subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(token)) == 1
}

// login says what becomes of a password: 0 when it is right.
func (a *access) login(password string) (status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.options.Now()
	for len(a.failures) > 0 && now.Sub(a.failures[0]) > loginWindow {
		a.failures = a.failures[1:]
	}
	if len(a.failures) >= maxLogins {
		return http.StatusTooManyRequests
	}
	want := a.options.Access().Password
	given, right := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
	if want != "" && subtle.ConstantTimeCompare(given[:], right[:]) == 1 {
		return 0
	}
	a.failures = append(a.failures, now)
	return http.StatusForbidden
}

// login takes the form of the login page.
func (d *Dashboard) login(w http.ResponseWriter, r *http.Request) {
	if d.access.origin.Check(r) != nil {
		http.Error(w, "This form is for pages of the dashboard.", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	switch status := d.access.login(r.PostFormValue("password")); status {
	case 0:
		d.access.begin(w, r)
		http.Redirect(w, r, d.options.Path+"/reverb", http.StatusSeeOther)
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many wrong passwords. Try again in a minute.", status)
	default:
		d.options.Logger.Warn("a wrong password for the dashboard", "remote", r.RemoteAddr)
		http.Redirect(w, r, d.options.Path+"/reverb#wrong", http.StatusSeeOther)
	}
}

func (d *Dashboard) logout(w http.ResponseWriter, r *http.Request) {
	d.access.end(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// allowed lets those in who may look.
func (d *Dashboard) allowed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !d.access.allows(r) {
			fail(w, http.StatusUnauthorized, "log in at "+d.options.Path+"/reverb")
			return
		}
		next(w, r)
	}
}

// writes lets pages of ours in.
func (d *Dashboard) writes(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !d.access.mayWrite(r) {
			fail(w, http.StatusForbidden, "this takes a page of the dashboard; reload it")
			return
		}
		next(w, r)
	}
}

// session tells a page its token.
func (d *Dashboard) session(w http.ResponseWriter, r *http.Request) {
	token, _ := d.access.token(r)
	answer(w, map[string]any{"token": token, "open": token == d.access.open})
}

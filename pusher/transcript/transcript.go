// Package transcript runs golden conversations: text files that read like the
// protocol's documentation and are played against anything that speaks it. The
// same files run against a Shard with fakes and against a node over TCP, so that
// the unit and the system cannot drift apart. It is for tests only.
//
//	# lines with # are comments
//	app    max_connections=1 client_events=none   options of the app, first line
//	open   a                                      connect; a names the connection
//	open   b  key=nobody origin=http://evil.test  with another key or Origin
//	open   c  query=protocol=3                    with a query
//	a <    {"event":...}                          the next frame a gets
//	a >    {"event":...}                          a sends a text message
//	a      nothing                                a ping's answer is all that comes
//	a      closed 4009 Origin not allowed         the connection is closed
//	drop   a                                      a disconnects without a word
//	wait   31s                                    time passes
//	trigger news my-event {"x":1} except=a        the application sends an event
//	terminate 7                                   the application throws user 7 out
//
// In what is sent, $auth(a,private-x) is the signature for connection a on the
// channel, and $auth(a,presence-x,DATA) with channel_data DATA, whose quotes are
// those of the surrounding JSON; $user(a,DATA) is that of a sign-in with user_data
// DATA. $a is the socket id of a, everywhere.
package transcript

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"resound/pusher"
)

// The app every transcript runs against.
const (
	AppID  = "123456"
	Key    = "reverb-key"
	Secret = "reverb-secret"
)

// Server is what a transcript runs against.
type Server interface {
	// Open connects with the WebSocket path's app key, which may carry a query,
	// and an Origin.
	Open(key, origin string) Client
	Advance(d time.Duration)
	Trigger(channel, event, data, except string)
	Terminate(user string)
}

// Client is one connection.
type Client interface {
	Send(payload string)
	Drop()
	// Next waits for the next text payload, or "ping", "closed CODE REASON" for
	// control frames.
	Next() string
}

// Starter makes a server whose only app has the options.
type Starter func(t *testing.T, o pusher.AppOptions) Server

// Run plays a file. With update it rewrites the lines that say what arrives.
func Run(t *testing.T, file string, start Starter, update bool) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	p := &play{t: t, file: file, clients: map[string]Client{}, ids: map[string]string{}}
	for i, line := range lines {
		p.line = i + 1
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if word == "app" {
			p.server = start(t, options(t, rest))
			continue
		}
		if p.server == nil {
			p.server = start(t, pusher.AppOptions{})
		}
		if got := p.step(word, rest); got != "" {
			if update {
				lines[i] = got
			} else if got != line {
				t.Fatalf("%s:%d:\n got %s\nwant %s", file, p.line, got, line)
			}
		}
	}
	if update {
		out := strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type play struct {
	t       *testing.T
	file    string
	line    int
	server  Server
	clients map[string]Client
	ids     map[string]string // name -> socket id
}

func (p *play) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s:%d: %s", p.file, p.line, fmt.Sprintf(format, args...))
}

// step runs one line. For a line that says what arrives it returns that line as
// it should read.
func (p *play) step(word, rest string) string {
	switch word {
	case "open":
		name, args := fields(rest)
		key := Key
		if k, ok := args["key"]; ok {
			key = k
		}
		if q, ok := args["query"]; ok {
			key += "?" + q
		}
		p.clients[name] = p.server.Open(key, args["origin"])
	case "drop":
		p.client(rest).Drop()
	case "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			p.fatalf("%v", err)
		}
		p.server.Advance(d)
	case "trigger":
		parts := strings.SplitN(rest, " ", 4)
		except := ""
		if len(parts) == 4 {
			except = p.ids[strings.TrimPrefix(parts[3], "except=")]
		}
		p.server.Trigger(parts[0], parts[1], parts[2], except)
	case "terminate":
		p.server.Terminate(rest)
	default:
		return p.talk(word, rest)
	}
	return ""
}

func (p *play) talk(name, rest string) string {
	c := p.client(name)
	mark, payload, _ := strings.Cut(rest, " ")
	payload = strings.TrimSpace(payload)
	switch mark {
	case ">":
		c.Send(p.expand(payload))
	case "<":
		got := c.Next()
		p.learn(name, got)
		return fmt.Sprintf("%-6s %s", name+" <", p.fold(got))
	case "nothing":
		c.Send(`{"event":"pusher:ping","data":{}}`)
		if got := c.Next(); got != `{"event":"pusher:pong"}` {
			p.fatalf("%s wants nothing, got %s", name, got)
		}
	case "closed":
		got := c.Next()
		if payload == "" && strings.HasPrefix(got, "closed") {
			return ""
		}
		return fmt.Sprintf("%-6s %s", name, got)
	default:
		p.fatalf("unknown line %q", name+" "+rest)
	}
	return ""
}

func (p *play) client(name string) Client {
	c, ok := p.clients[name]
	if !ok {
		p.fatalf("nobody is called %q", name)
	}
	return c
}

var socketID = regexp.MustCompile(`\\"socket_id\\":\\"(\d+\.\d+)\\"`)

func (p *play) learn(name, payload string) {
	if m := socketID.FindStringSubmatch(payload); m != nil {
		p.ids[name] = m[1]
	}
}

func (p *play) fold(s string) string {
	for name, id := range p.ids {
		s = strings.ReplaceAll(s, id, "$"+name)
	}
	return s
}

var (
	authCall = regexp.MustCompile(`\$auth\((\w+),([^,()]*)(?:,((?:[^()]|\([^()]*\))*))?\)`)
	userCall = regexp.MustCompile(`\$user\((\w+),((?:[^()]|\([^()]*\))*)\)`)
)

func (p *play) expand(s string) string {
	s = authCall.ReplaceAllStringFunc(s, func(call string) string {
		m := authCall.FindStringSubmatch(call)
		text := p.ids[m[1]] + ":" + m[2]
		if m[3] != "" {
			text += ":" + p.unquote(m[3])
		}
		return Sign(text)
	})
	s = userCall.ReplaceAllStringFunc(s, func(call string) string {
		m := userCall.FindStringSubmatch(call)
		return Sign(p.ids[m[1]] + "::user::" + p.unquote(m[2]))
	})
	for name, id := range p.ids {
		s = strings.ReplaceAll(s, "$"+name, id)
	}
	return s
}

// unquote undoes the escapes of the surrounding JSON.
func (p *play) unquote(s string) string {
	out, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		p.fatalf("%q: %v", s, err)
	}
	return out
}

// Sign is key:signature as an application's back end makes it.
func Sign(text string) string {
	h := hmac.New(sha256.New, []byte(Secret))
	h.Write([]byte(text))
	return Key + ":" + hex.EncodeToString(h.Sum(nil))
}

// fields splits "name key=value ...".
func fields(s string) (name string, args map[string]string) {
	args = map[string]string{}
	for i, f := range strings.Fields(s) {
		if k, v, ok := strings.Cut(f, "="); ok {
			args[k] = v
		} else if i == 0 {
			name = f
		}
	}
	return name, args
}

func options(t *testing.T, s string) (o pusher.AppOptions) {
	t.Helper()
	_, args := fields(s)
	for k, v := range args {
		n, _ := strconv.Atoi(v)
		d, _ := time.ParseDuration(v)
		switch k {
		case "disabled":
			o.Disabled = true
		case "origins":
			o.AllowedOrigins = strings.Split(v, ",")
		case "max_connections":
			o.MaxConnections = int64(n)
		case "max_message_bytes":
			o.MaxMessageBytes = n
		case "ping_interval":
			o.PingInterval = d
		case "cache_ttl":
			o.CacheTTL = d
		case "client_events":
			o.ClientEventsFrom = map[string]pusher.ClientEvents{"members": pusher.ClientEventsFromMembers, "all": pusher.ClientEventsFromAll, "none": pusher.ClientEventsFromNone}[v]
		case "client_events_on_public":
			o.NoClientEventsOnPublicChannels = v == "false"
		case "client_events_per_second":
			o.MaxClientEventsPerSecond = n
		case "max_presence_members":
			o.MaxPresenceMembers = n
		case "watchlist":
			o.Watchlist = true
		case "max_watchlist":
			o.MaxWatchlist = n
		case "subscription_count":
			o.SubscriptionCount = true
		case "authorized_timeout":
			o.AuthorizedConnectionsTimeout = d
		case "max_channel_name_bytes":
			o.MaxChannelNameBytes = n
		case "max_event_name_bytes":
			o.MaxEventNameBytes = n
		case "max_member_bytes":
			o.MaxPresenceMemberBytes = n
		case "max_user_id_bytes":
			o.MaxUserIDBytes = n
		case "max_subscriptions":
			o.MaxSubscriptionsPerConnection = n
		case "rate":
			o.RateLimit.MaxAttempts, o.RateLimit.Decay = n, time.Minute
		case "terminate":
			o.RateLimit.Terminate = true
		default:
			t.Fatalf("unknown app option %q", k)
		}
	}
	return o
}

package rest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"resound/frame"
	"resound/pusher"
)

// fakeLoop is the reactor and the mailbox of a real shard: what is posted is
// delivered at once. Owned by one goroutine at a time.
type fakeLoop struct {
	shard *pusher.Shard
	sent  map[int32][]string
	ended map[int32]int // close codes
}

func (l *fakeLoop) Post(item any)       { l.shard.OnMail([]any{item}) }
func (l *fakeLoop) Pending() int        { return 0 }
func (l *fakeLoop) PendingBytes() int64 { return 0 }

func (l *fakeLoop) Send(conn int32, b []byte)     { l.sent[conn] = append(l.sent[conn], string(b)) }
func (l *fakeLoop) SendCopy(conn int32, b []byte) { l.Send(conn, b) }
func (l *fakeLoop) Deflates(int32) bool           { return false }
func (l *fakeLoop) SetReadLimit(int32, uint32)    {}
func (l *fakeLoop) SetDeadline(int32, uint32)     {}
func (l *fakeLoop) Now() uint32                   { return 0 }

func (l *fakeLoop) Close(conn int32, code int, _ string) {
	l.ended[conn] = code
	l.shard.OnClosed(conn)
}

// connect gives the fixture's node a reactor, n connections, and the
// subscriptions of each: names, or a name and a user id with a slash between.
func (f *fixture) connect(subscriptions ...[]string) *fakeLoop {
	f.t.Helper()
	l := &fakeLoop{sent: map[int32][]string{}, ended: map[int32]int{}}
	l.shard = f.node.NewShard(0, l)
	f.node.Attach([]pusher.Mailbox{l})
	for i, names := range subscriptions {
		conn := int32(i)
		l.shard.OnOpen(conn, &frame.Request{Path: []byte("/app/" + appKey)})
		for _, name := range names {
			l.subscribe(f, conn, name)
		}
	}
	return l
}

func (l *fakeLoop) subscribe(f *fixture, conn int32, name string) {
	name, user, member := strings.Cut(name, "/")
	data, signed := "", l.socketID(f, conn)+":"+name
	if member {
		data = fmt.Sprintf(`{"user_id":%q}`, user)
		signed += ":" + data
	}
	l.shard.OnMessage(conn, true, fmt.Appendf(nil, `{"event":"pusher:subscribe","data":{"channel":%q,"auth":%q,"channel_data":%q}}`,
		name, appKey+":"+hmacHex(signed), data))
	if last := l.sent[conn][len(l.sent[conn])-1]; !strings.Contains(last, "subscription_succeeded") {
		f.t.Fatalf("connection %d is not subscribed to %s: %s", conn, name, last)
	}
}

// socketID reads the id a connection was given.
func (l *fakeLoop) socketID(f *fixture, conn int32) string {
	f.t.Helper()
	_, rest, found := strings.Cut(l.sent[conn][0], `\"socket_id\":\"`)
	if !found {
		f.t.Fatalf("connection %d was told %q first", conn, l.sent[conn])
	}
	id, _, _ := strings.Cut(rest, `\"`)
	return id
}

// receivers returns the connections whose last frame holds text.
func (l *fakeLoop) receivers(text string) (conns []int32) {
	for conn, frames := range l.sent {
		if strings.Contains(frames[len(frames)-1], text) {
			conns = append(conns, conn)
		}
	}
	slices.Sort(conns)
	return conns
}

func TestConnectionsAreCounted(t *testing.T) {
	tests := []struct {
		name          string
		subscriptions [][]string
		want          string
	}{
		{"117_120_two_connections", [][]string{{"a"}, {"presence-b/1"}}, `{"connections":2}`},
		{"118_121_one_on_two_channels", [][]string{{"a", "presence-b/1"}}, `{"connections":1}`},
		{"one_without_a_subscription", [][]string{{"a"}, {}}, `{"connections":2}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.connect(tt.subscriptions...)
			got := f.call(appPath+"/connections", "")
			if got.body != tt.want || got.header.Get("Content-Length") != "17" {
				t.Errorf("%s with Content-Length %s, want %s and 17", got.body, got.header.Get("Content-Length"), tt.want)
			}
		})
	}
}

func TestTerminateClosesEveryConnectionOfTheUser(t *testing.T) {
	f := newFixture(t, nil)
	l := f.connect([]string{"presence-a/7", "b"}, []string{"presence-a/8"}, []string{"presence-c/7"}, []string{"b"})
	f.call(appPath+"/users/7/terminate_connections", `{}`).check(t, 200, `{}`)
	if len(l.ended) != 2 || l.ended[0] != 4009 || l.ended[2] != 4009 {
		t.Errorf("closed with codes %v, want 0 and 2 with 4009", l.ended)
	}
	f.call(appPath+"/channels/presence-a/users", "").check(t, 200, `{"users":[{"id":"8"}]}`)
	f.call(appPath+"/channels?info=subscription_count", "").check(t, 200, `{"channels":{"b":{"subscription_count":1},"presence-a":{}}}`)
}

func TestTriggerReachesSubscribers(t *testing.T) {
	f := newFixture(t, nil)
	l := f.connect([]string{"a"}, []string{"a", "b"}, []string{"c"})
	tests := []struct {
		name, body string
		frame      string
		want       []int32
	}{
		{"of_the_channel", `{"name":"App\\E","channel":"a","data":"\"1\""}`, `{"event":"App\\E","data":"\"1\"","channel":"a"}`, []int32{0, 1}},
		{"of_each_channel", `{"name":"e","channels":["b","c"],"data":"2"}`, `"data":"2"`, []int32{1, 2}},
		{"but_not_the_53_excluded_one", fmt.Sprintf(`{"name":"e","channel":"a","data":"3","socket_id":%q}`, l.socketID(f, 0)), `"data":"3"`, []int32{1}},
		{"an_unknown_socket_id_excludes_nobody", `{"name":"e","channel":"a","data":"4","socket_id":"1.0"}`, `"data":"4"`, []int32{0, 1}},
		{"only_of_the_exact_name", `{"name":"e","channel":"A","data":"5"}`, `"data":"5"`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.call(eventsPath, tt.body).check(t, 200, `{}`)
			if got := l.receivers(tt.frame); !slices.Equal(got, tt.want) {
				t.Errorf("connections %v received it, want %v", got, tt.want)
			}
		})
	}
}

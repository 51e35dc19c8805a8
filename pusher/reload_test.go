package pusher

import (
	"fmt"
	"strings"
	"testing"
)

// closeAll is what the node does with a removed app, on the only reactor. It
// returns the number of turns.
func (f *Fake) closeAll(a *App) (turns int) {
	for from := int32(0); from >= 0; turns++ {
		from = f.reactor.shard.CloseApp(a, from)
	}
	return turns
}

func TestReloadKeepsWhatStays(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	c := f.Open("k", "")
	c.Next()
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	c.Next()

	removed, err := f.node.Reload(Limits{}, []AppConfig{
		{ID: "1", Key: "new", Secret: "t", Options: AppOptions{AllowedOrigins: []string{"example.com"}}},
		{ID: "2", Key: "k2", Secret: "s2"},
	})
	if err != nil || len(removed) != 0 {
		t.Fatalf("got %v removed, %v", removed, err)
	}
	if f.node.AppByID("1") != f.app || f.node.AppByKey("new") != f.app {
		t.Error("the app with the same id is another one")
	}
	f.Trigger("news", "e", "1", "")
	if got := c.Next(); !strings.Contains(got, `"event":"e"`) {
		t.Errorf("the open connection got %s, want the event", got)
	}
	sig := f.app.Secret().AppendChannel(nil, f.reactor.shard.socketID(c.handle).String(), "private-x", "")
	c.Send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"private-x","auth":"new:%s"}}`, sig))
	if got := c.Next(); !strings.Contains(got, "subscription_succeeded") {
		t.Errorf("a signature of the new secret on an old connection: got %s", got)
	}
	for _, row := range []struct{ name, key, origin, want string }{
		{"the old key", "k", "https://example.com", "4001"},
		{"the new key from elsewhere", "new", "https://elsewhere.com", "4009"},
		{"the new key", "new", "https://example.com", "established"},
		{"the new app", "k2", "", "established"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := f.Open(row.key, row.origin).Next(); !strings.Contains(got, row.want) {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestReloadRefusesTwoOfAKind(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	_, err := f.node.Reload(Limits{MaxConnections: 7}, []AppConfig{{ID: "1", Key: "a", Secret: "s"}, {ID: "2", Key: "a", Secret: "s"}})
	if err == nil {
		t.Error("two apps have one key")
	}
	if f.app.Key() != "k" || f.node.MaxConnections() != 0 || f.node.AppByID("2") != nil {
		t.Error("a refused configuration changed something")
	}
}

func TestReloadRemovesAnApp(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	if _, err := f.node.Reload(Limits{}, []AppConfig{{ID: "1", Key: "k", Secret: "s"}, {ID: "2", Key: "k2", Secret: "s2"}}); err != nil {
		t.Fatal(err)
	}
	stays := f.Open("k", "")
	stays.Next()
	var go1 []*fakeConn
	for range 3*closeStep - 1 {
		c := f.Open("k2", "")
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		go1 = append(go1, c)
	}
	two := f.node.AppByID("2")
	removed, err := f.node.Reload(Limits{}, []AppConfig{{ID: "1", Key: "k", Secret: "s"}})
	if err != nil || len(removed) != 1 || removed[0] != two {
		t.Fatalf("got %v removed, %v", removed, err)
	}
	if turns := f.closeAll(two); turns < 3 {
		t.Errorf("closed in %d turns, want at most %d connections in each", turns, closeStep)
	}
	for _, c := range go1 {
		if last := c.got[len(c.got)-1]; !strings.HasPrefix(last, "closed 4001") {
			t.Fatalf("a connection of the removed app got %s last", last)
		}
	}
	if !stays.open {
		t.Error("a connection of the other app was closed")
	}
	if f.reactor.shard.apps[two] != nil || two.Connections() != 0 || f.node.Connections() != 1 {
		t.Errorf("the removed app is not forgotten: %d connections, %d on the node", two.Connections(), f.node.Connections())
	}
	if got := f.Open("k2", "").Next(); !strings.Contains(got, "4001") {
		t.Errorf("a new connection of the removed app got %s", got)
	}
}

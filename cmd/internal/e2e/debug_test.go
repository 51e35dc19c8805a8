package e2e

import (
	"strings"
	"testing"
)

// TestDebugTellsWhatHappens wants the lines of reverb:start --debug, and nothing
// that lets its reader in.
func TestDebugTellsWhatHappens(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{args: append([]string{"--debug"}, anyPort...), env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "0"}})
	k := open(t, s)
	k.join(t, "private-news", "")
	k.send(t, `{"event":"pusher:ping","data":{}}`)
	k.expect(t, `{"event":"pusher:pong"}`)
	rest{s, testApp}.trigger(t, "private-news", "Greeting", "{}")
	k.next(t) // the event
	if err := k.conn.CloseNow(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`Connection Established \s+` + k.id, `Message Received \s+` + k.id + `.*pusher:subscribe.*private-news`, `Message Handled \s+` + k.id,
		`Message Received \s+` + k.id + `.*pusher:ping`, `Broadcasting To \s+private-news "\{\}"`, `Connection Closed \s+` + k.id,
	} {
		s.expectOutput(t, line)
	}
	text := s.out.String()
	auth := sign(testApp.secret, k.id+":private-news")
	if strings.Contains(text, auth) || strings.Contains(text, testApp.secret) {
		t.Errorf("got a signature or a secret in\n%s", text)
	}
	if !strings.Contains(text, `"auth":"`+testApp.key+`:***"`) {
		t.Errorf("got no masked signature in\n%s", text)
	}
}

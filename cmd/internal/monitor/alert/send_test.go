package alert

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait; none is expected to last.
const patience = 20 * time.Second

func within[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return got
}

// receiver is an HTTP server that answers with the statuses, the last one again
// and again.
func receiver(t *testing.T, statuses ...int) (url string, bodies <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		status := statuses[0]
		if len(statuses) > 1 {
			statuses = statuses[1:]
		}
		mu.Unlock()
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/secret", got
}

// mailServer is an SMTP server that takes one message after the other and asks for
// a password if there is one.
func mailServer(t *testing.T) (address string, messages <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { converse(c, got) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String(), got
}

// converse is RFC 5321 as far as a sender needs it.
func converse(c net.Conn, messages chan<- string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	say := func(text string) { fmt.Fprint(c, text+"\r\n") }
	say("220 test")
	var envelope strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); verb {
		case "EHLO", "HELO":
			say("250-test\r\n250 AUTH PLAIN LOGIN")
		case "AUTH":
			envelope.WriteString(line)
			say("235 ok")
		case "MAIL", "RCPT":
			envelope.WriteString(line)
			say("250 ok")
		case "DATA":
			say("354 go on")
			for {
				text, err := in.ReadString('\n')
				if err != nil || text == ".\r\n" {
					break
				}
				envelope.WriteString(text)
			}
			say("250 kept")
			messages <- envelope.String()
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// fire makes an alert begin.
func fire(a *Alerts, to Channels, channels ...string) {
	a.Set([]Rule{{Name: "high <connections>", Metric: "connections", Threshold: 10, Channels: channels}}, to)
	a.Observe(time.Unix(1_700_000_000, 0), map[string]float64{"connections": 12})
}

func TestEveryChannelIsToldOnceOfBeginAndEnd(t *testing.T) {
	slackURL, slack := receiver(t, 200)
	hookURL, hook := receiver(t, 204)
	smtp, mails := mailServer(t)
	a := New(Options{Node: "ws1"})
	defer a.Close()
	to := Channels{SlackURL: slackURL, WebhookURL: hookURL, SMTP: "smtp://me:pass@" + smtp, From: "resound@example.com", To: []string{"a@example.com", "b@example.com"}}
	fire(a, to, Slack, Webhook, Email)
	a.Observe(time.Unix(1_700_000_010, 0), map[string]float64{"connections": 20}) // says nothing new
	a.Observe(time.Unix(1_700_000_020, 0), map[string]float64{"connections": 1})

	for _, state := range []string{firing, resolved} {
		if got, want := within(t, slack, "Slack"), "[`"+state; !strings.HasPrefix(got, "POST /secret application/json ") || !strings.Contains(got, strings.ReplaceAll(want, "`", "")) ||
			strings.Contains(got, "<connections>") {
			t.Errorf("Slack gets %s", got)
		}
		got := within(t, hook, "the webhook")
		var m Message
		if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "POST /secret application/json ")), &m); err != nil || m.State != state || m.Alert != "high <connections>" || m.Node != "ws1" {
			t.Errorf("the webhook gets %s: %v", got, err)
		}
		text := within(t, mails, "a mail")
		for _, want := range []string{"AUTH ", "MAIL FROM:<resound@example.com>", "RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>", "Subject: [" + state + "] high <connections> on ws1", "connections is "} {
			if !strings.Contains(text, want) {
				t.Errorf("the mail lacks %q:\n%s", want, text)
			}
		}
	}
	if n := len(slack) + len(hook) + len(mails); n != 0 || a.Lost() != 0 {
		t.Errorf("%d messages more, %d lost", n, a.Lost())
	}
}

func TestAReceiverThatFailsIsTriedAgain(t *testing.T) {
	url, got := receiver(t, 500, 429, 200)
	a := New(Options{Backoff: time.Millisecond})
	defer a.Close()
	fire(a, Channels{WebhookURL: url}, Webhook)
	for range 3 {
		within(t, got, "a try")
	}
}

// logged collects lines.
type logged struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan string
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(string(p), "could not be told") {
		l.lines <- string(p)
	}
	return l.text.Write(p)
}

func TestWhatIsGivenUpIsLoggedWithoutSecrets(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	refusing, _ := receiver(t, 403)
	redirecting, _ := receiver(t, 302)
	for _, row := range []struct {
		name, channel string
		to            Channels
		says          string
	}{
		{"refused", Webhook, Channels{WebhookURL: refusing}, "answered 403"},
		{"sent elsewhere", Slack, Channels{SlackURL: redirecting}, "answered 302"},
		{"nobody there", Slack, Channels{SlackURL: "http://" + gone.Addr().String() + "/secret"}, "refused"},
		{"no mail server", Email, Channels{SMTP: "smtp://me:secret@" + gone.Addr().String(), From: "a@b.example", To: []string{"a@b.example"}}, "refused"},
		{"no address", Email, Channels{SMTP: "smtp://" + gone.Addr().String(), From: "nobody", To: []string{"a@b.example"}}, "refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			log := &logged{lines: make(chan string, 10)}
			a := New(Options{Backoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil))})
			defer a.Close()
			fire(a, row.to, row.channel)
			line := within(t, log.lines, "a line")
			if !strings.Contains(line, row.says) || strings.Contains(line, "secret") {
				t.Errorf("the log says %s, want %q and no secret", line, row.says)
			}
			if a.Lost() != 1 {
				t.Errorf("%d are lost, want 1", a.Lost())
			}
		})
	}
}

func TestAReceiverThatHangsHoldsUpNobody(t *testing.T) {
	// It takes connections and never says a word, neither as Slack nor as a mail
	// server.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	url, got := receiver(t, 200)
	a := New(Options{})
	to := Channels{SlackURL: "http://" + silent.Addr().String(), WebhookURL: url, SMTP: "smtp://" + silent.Addr().String(), From: "a@b.example", To: []string{"a@b.example"}}
	fire(a, to, Slack, Email, Webhook)
	within(t, got, "the webhook, while the others hang")
	for i := range int64(3 * maxQueued) { // more than may wait
		a.Observe(time.Unix(1_700_000_000+i, 0), map[string]float64{"connections": float64(i%2) * 100})
	}
	if a.Lost() == 0 {
		t.Error("nothing is lost, though two channels hang")
	}
	closed := make(chan struct{})
	go func() { a.Close(); close(closed) }()
	within(t, closed, "the end, which waits for nobody")
}

func TestATryEndsInTime(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, channel := range []string{Slack, Email} {
		log := &logged{lines: make(chan string, 10)}
		a := New(Options{SendTimeout: 20 * time.Millisecond, Backoff: time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil))})
		fire(a, Channels{SlackURL: "http://" + silent.Addr().String(), SMTP: "smtp://" + silent.Addr().String(), From: "a@b.example", To: []string{"a@b.example"}}, channel)
		within(t, log.lines, "the last try by "+channel)
		a.Close()
	}
}

package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func TestSignatureHasOneSpelling(t *testing.T) {
	s := NewSecret("7ad3773142a6692b25b8")
	good := string(s.AppendChannel(nil, "1234.1234", "private-foobar", ""))
	tests := []struct {
		name      string
		signature string
		want      bool
	}{
		{"as it was made", good, true},
		{"upper-case hex", strings.ToUpper(good), false},
		{"one digit in upper case", strings.Replace(good, "d", "D", 1), false},
		{"empty", "", false},
		{"one digit short", good[:63], false},
		{"one digit more", good + "0", false},
		{"twice", good + good, false},
		{"space before", " " + good, false},
		{"space for the last digit", good[:63] + " ", false},
		{"last digit changed", good[:63] + "5", false},
		{"first digit changed", "4" + good[1:], false},
		{"0x before", "0x" + good[:62], false},
		{"not hex", strings.Repeat("z", 64), false},
		{"zero bytes", strings.Repeat("\x00", 64), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.VerifyChannel(tt.signature, "1234.1234", "private-foobar", ""); got != tt.want {
				t.Errorf("VerifyChannel(%q) = %v, want %v", tt.signature, got, tt.want)
			}
		})
	}
}

func TestSignatureHoldsForOneStringOnly(t *testing.T) {
	s := NewSecret("secret")
	channel := string(s.AppendChannel(nil, "1.1", "private-a", ""))
	presence := string(s.AppendChannel(nil, "1.1", "presence-a", `{"user_id":1}`))
	user := string(s.AppendUser(nil, "1.1", `{"id":"1"}`))
	tests := []struct {
		name string
		got  bool
	}{
		{"another socket id", s.VerifyChannel(channel, "1.2", "private-a", "")},
		{"another channel", s.VerifyChannel(channel, "1.1", "private-b", "")},
		{"channel data that was not signed", s.VerifyChannel(channel, "1.1", "private-a", `{"user_id":1}`)},
		{"channel data left out", s.VerifyChannel(presence, "1.1", "presence-a", "")},
		{"other channel data", s.VerifyChannel(presence, "1.1", "presence-a", `{"user_id":2}`)},
		{"another user", s.VerifyUser(user, "1.1", `{"id":"2"}`)},
		{"a user's for a channel", s.VerifyChannel(user, "1.1", `{"id":"1"}`, "")},
		{"another secret", NewSecret("Secret").VerifyChannel(channel, "1.1", "private-a", "")},
		{"no secret", NewSecret("").VerifyChannel(channel, "1.1", "private-a", "")},
		{"a request's", s.VerifyRequest(channel, []byte("GET\n/\n"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got {
				t.Error("the signature was accepted")
			}
		})
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const text = "do-not-print-me"
	s := NewSecret(text)
	s.AppendUser(nil, "1.1", "{}")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Error("x", "secret", s)
	slog.New(slog.NewTextHandler(&log, nil)).Error("x", "secret", s)
	got := fmt.Sprintf("%v %s %#v %+v %q", s, s, s, s, s) + log.String()
	if strings.Contains(got, text) {
		t.Errorf("the secret shows in %q", got)
	}
	if want := 7; strings.Count(got, redacted) != want {
		t.Errorf("%d of %d places say %q: %s", strings.Count(got, redacted), want, redacted, got)
	}
}

func TestSecretServesManyGoroutines(t *testing.T) {
	s := NewSecret("secret")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				id := fmt.Sprintf("%d.%d", g, i)
				if sig := string(s.AppendChannel(nil, id, "private-a", "")); !s.VerifyChannel(sig, id, "private-a", "") {
					t.Errorf("signature of %s does not verify", id)
				}
			}
		})
	}
	wg.Wait()
}

func TestAppendKeepsWhatStandsBefore(t *testing.T) {
	s := NewSecret("secret")
	if got := string(s.AppendUser([]byte("key:"), "1.1", "{}")); len(got) != 4+SignatureBytes || got[:4] != "key:" {
		t.Errorf("AppendUser = %q, want 64 digits behind %q", got, "key:")
	}
}

func TestWebhookSignatureIsOfTheRawBody(t *testing.T) {
	const secret = "7ad3773142a6692b25b8"
	for _, body := range []string{`{"time_ms":1327078148132,"events":[]}`, `{"time_ms": 1327078148132, "events": []}`, "", "\x00\xff"} {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		want := "before" + hex.EncodeToString(mac.Sum(nil))
		if got := string(NewSecret(secret).AppendWebhook([]byte("before"), []byte(body))); got != want {
			t.Errorf("AppendWebhook(%q) = %s, want %s", body, got, want)
		}
	}
}

func TestLongMessagesAreNotKept(t *testing.T) {
	s := NewSecret("secret")
	long := strings.Repeat("x", maxKeptBytes)
	sig := string(s.AppendUser(nil, "1.1", long))
	if !s.VerifyUser(sig, "1.1", long) {
		t.Error("the signature of a long message does not verify")
	}
	st := s.take()
	st.message = make([]byte, 0, maxKeptBytes+1)
	if s.put(st); st.message != nil {
		t.Errorf("a buffer of %d bytes went back to the pool, want at most %d", cap(st.message), maxKeptBytes)
	}
}

func TestSplitAuth(t *testing.T) {
	tests := []struct {
		name           string
		auth           string
		key, signature string
		ok             bool
	}{
		{"key and signature", "key:abc", "key", "abc", true},
		{"no colon", "abc", "abc", "", false},
		{"empty", "", "", "", false},
		{"a colon in the signature", "key:a:b", "key", "a:b", true},
		{"no key", ":abc", "", "abc", true},
		{"no signature", "key:", "key", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, signature, ok := SplitAuth(tt.auth)
			if key != tt.key || signature != tt.signature || ok != tt.ok {
				t.Errorf("SplitAuth(%q) = %q, %q, %v, want %q, %q, %v", tt.auth, key, signature, ok, tt.key, tt.signature, tt.ok)
			}
		})
	}
}

func BenchmarkVerifyChannel(b *testing.B) {
	s := NewSecret("7ad3773142a6692b25b8")
	sig := string(s.AppendChannel(nil, "1234.1234", "private-foobar", ""))
	b.ReportAllocs()
	for b.Loop() {
		if !s.VerifyChannel(sig, "1234.1234", "private-foobar", "") {
			b.Fatal("refused")
		}
	}
}

package auth

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

type vectors struct {
	Key, Secret string
	Channel     []struct {
		Name        string
		SocketID    string `json:"socket_id"`
		Channel     string
		ChannelData string `json:"channel_data"`
		Signature   string
	}
	User []struct {
		Name      string
		SocketID  string `json:"socket_id"`
		UserData  string `json:"user_data"`
		Signature string
	}
	Request []struct {
		Name, Method, Path, Query, Body string
		BodyMD5                         string `json:"body_md5"`
		Signature                       string
	}
	SharedSecret []struct {
		Name, Channel string
		MasterKey     string `json:"master_key"`
		SharedSecret  string `json:"shared_secret"`
	} `json:"shared_secret"`
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Channel) == 0 || len(v.User) == 0 || len(v.Request) == 0 || len(v.SharedSecret) == 0 {
		t.Fatal("vectors.json lacks a family")
	}
	return v
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	s := NewSecret(v.Secret)
	for _, c := range v.Channel {
		t.Run(c.Name, func(t *testing.T) {
			if got := string(s.AppendChannel(nil, c.SocketID, c.Channel, c.ChannelData)); got != c.Signature {
				t.Errorf("AppendChannel = %s, want %s", got, c.Signature)
			}
			if !s.VerifyChannel(c.Signature, c.SocketID, c.Channel, c.ChannelData) {
				t.Error("VerifyChannel refuses it")
			}
		})
	}
	for _, c := range v.User {
		t.Run(c.Name, func(t *testing.T) {
			if got := string(s.AppendUser(nil, c.SocketID, c.UserData)); got != c.Signature {
				t.Errorf("AppendUser = %s, want %s", got, c.Signature)
			}
			if !s.VerifyUser(c.Signature, c.SocketID, c.UserData) {
				t.Error("VerifyUser refuses it")
			}
		})
	}
	for _, c := range v.Request {
		t.Run(c.Name, func(t *testing.T) {
			sum := md5.Sum([]byte(c.Body))
			if got := hex.EncodeToString(sum[:]); got != c.BodyMD5 {
				t.Fatalf("MD5 of the body = %s, want %s", got, c.BodyMD5)
			}
			var q Query
			if err := q.Parse(c.Query); err != nil {
				t.Fatal(err)
			}
			canonical := q.AppendCanonical(nil, c.Method, c.Path, c.BodyMD5)
			if got := string(s.AppendRequest(nil, canonical)); got != c.Signature {
				t.Errorf("AppendRequest(%q) = %s, want %s", canonical, got, c.Signature)
			}
			if !s.VerifyRequest(c.Signature, canonical) {
				t.Error("VerifyRequest refuses it")
			}
		})
	}
	for _, c := range v.SharedSecret {
		t.Run(c.Name, func(t *testing.T) {
			if got := SharedSecret(c.Channel, []byte(c.MasterKey)); got != c.SharedSecret {
				t.Errorf("SharedSecret = %s, want %s", got, c.SharedSecret)
			}
		})
	}
}

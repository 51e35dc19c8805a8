package node

import (
	"log/slog"
	"reflect"
	"testing"
	"time"

	"resound/channels/cluster/redis"
	"resound/cmd/internal/config"
)

func TestRedisOptions(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, row := range []struct {
		name   string
		change func(*config.Redis)
		want   redis.Options
	}{
		{"one server", func(*config.Redis) {}, redis.Options{Addresses: []string{"[::1]:6379"}, Username: "u", Password: "p", Database: 3}},
		{"a cluster", func(r *config.Redis) { r.Cluster, r.Database = []string{"a:1", "b:2"}, 0 }, redis.Options{Mode: redis.Cluster, Addresses: []string{"a:1", "b:2"}, Username: "u", Password: "p"}},
		{"sentinels", func(r *config.Redis) {
			r.Sentinel = config.Sentinel{Addresses: []string{"a:1"}, Master: "m", Username: "su", Password: "sp"}
		}, redis.Options{Mode: redis.Sentinel, Addresses: []string{"a:1"}, Master: "m", Username: "u", Password: "p", SentinelUsername: "su", SentinelPassword: "sp", Database: 3}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := config.Scaling{Channel: "reverb", Redis: config.Redis{
				Host: "::1", Port: 6379, Username: "u", Password: "p", Database: 3, Timeout: time.Minute, Prefix: "x:",
			}}
			row.change(&s.Redis)
			row.want.Prefix, row.want.Timeout, row.want.Logger = "x:reverb", 2*time.Second, log
			if got := redisOptions(&s, log); !reflect.DeepEqual(got, row.want) {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
			if _, err := redis.New(row.want); err != nil {
				t.Error(err)
			}
		})
	}
	s := config.Scaling{Channel: "c", Redis: config.Redis{Host: "h", Port: 1, TLS: true, Timeout: time.Second}}
	if got := redisOptions(&s, log); got.TLS == nil || got.Timeout != time.Second || got.Prefix != "c" {
		t.Errorf("got %+v, want TLS, a second and the prefix c", got)
	}
}

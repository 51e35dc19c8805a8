package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRedis(t *testing.T) {
	const app = "REVERB_APP_ID=1 REVERB_APP_KEY=k REVERB_APP_SECRET=s REVERB_SCALING_ENABLED=true "
	for _, row := range []struct {
		name, environ string
		change        func(*Redis)
	}{
		{"nothing said", "", func(*Redis) {}},
		{"Laravel's names", "REDIS_HOST=h REDIS_PORT=1 REDIS_USERNAME=u REDIS_PASSWORD=p REDIS_DB=3 REDIS_TIMEOUT=1", func(r *Redis) {
			r.Host, r.Port, r.Username, r.Password, r.Database, r.Timeout = "h", 1, "u", "p", 3, time.Second
		}},
		{"a URL", "REDIS_HOST=other REDIS_URL=redis://u:p%40@h:1/3", func(r *Redis) {
			r.Host, r.Port, r.Username, r.Password, r.Database = "h", 1, "u", "p@", 3
		}},
		{"a URL with TLS leaves what it does not name", "REDIS_PORT=7 REDIS_PASSWORD=p REDIS_URL=rediss://h", func(r *Redis) {
			r.Host, r.Port, r.Password, r.TLS = "h", 7, "p", true
		}},
		{"a URL as Reverb builds it", "REDIS_URL=tls://h:1?username=u&password=p&db=2", func(r *Redis) {
			r.Host, r.Port, r.Username, r.Password, r.Database, r.TLS = "h", 1, "u", "p", 2, true
		}},
		{"a host with a scheme", "REDIS_HOST=tls://h", func(r *Redis) { r.Host, r.TLS = "h", true }},
		{"a scheme", "RESOUND_SCALING_SERVER_SCHEME=tls", func(r *Redis) { r.Scheme, r.TLS = "tls", true }},
		{"TLS", "RESOUND_SCALING_SERVER_TLS=1", func(r *Redis) { r.TLS = true }},
		{"a cluster", "RESOUND_SCALING_SERVER_CLUSTER=a:1,b:2 RESOUND_SCALING_SERVER_PREFIX=p:", func(r *Redis) {
			r.Cluster, r.Prefix = []string{"a:1", "b:2"}, "p:"
		}},
		{"sentinels", "RESOUND_SCALING_SERVER_SENTINEL_ADDRESSES=a:1 RESOUND_SCALING_SERVER_SENTINEL_MASTER=m RESOUND_SCALING_SERVER_SENTINEL_PASSWORD=p", func(r *Redis) {
			r.Sentinel = Sentinel{Addresses: []string{"a:1"}, Master: "m", Password: "p"}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, _, err := Load(Flags{}, strings.Fields(app+row.environ), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			want := Redis{Host: "127.0.0.1", Port: 6379, Timeout: time.Minute, Sentinel: Sentinel{Master: "mymaster"}}
			row.change(&want)
			got := c.Server.Scaling.Redis
			got.URL = ""
			if len(got.Cluster) == 0 {
				got.Cluster = nil
			}
			if len(got.Sentinel.Addresses) == 0 {
				got.Sentinel.Addresses = nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if s := c.Server.Scaling; s.Channel != "reverb" || s.OnOutage != OnOutageServe {
				t.Errorf("got channel %q, on outage %q", s.Channel, s.OnOutage)
			}
		})
	}
}

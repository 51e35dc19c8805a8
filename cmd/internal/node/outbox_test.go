package node

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"resound/channels/cluster/redis"
	"resound/pusher"
	"resound/pusher/webhook"
)

// TestWebhooksAreHandedOnWhole: no field is lost between the packages.
func TestWebhooksAreHandedOnWhole(t *testing.T) {
	h := pusher.Hook{
		ID: "1-2", Teller: "node:1", Name: pusher.HookSubscriptionCount, Channel: "news", UserID: "ann", Event: "client-x",
		Data: "1", SocketID: "1.2", Subscriptions: 3, Number: 4,
	}
	whole(t, h)
	whole(t, eventOf(h))
	r := webhook.Record{ID: "1-2", Event: json.RawMessage("{}"), At: time.Unix(1, 0), Condition: webhook.Condition{Subject: "news", Number: 4, Once: time.Second, Teller: "node:1"}}
	whole(t, r)
	whole(t, r.Condition)
	if got := webhookRecords([]redis.Record{redisRecord(r)}); !reflect.DeepEqual(got, []webhook.Record{r}) {
		t.Errorf("got %+v, want %+v", got, r)
	}
}

// whole fails where an exported field has no value.
func whole(t *testing.T, list any) {
	t.Helper()
	v := reflect.ValueOf(list)
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() && v.Field(i).IsZero() {
			t.Errorf("%s has no %s", v.Type(), v.Type().Field(i).Name)
		}
	}
}

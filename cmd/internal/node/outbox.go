package node

import (
	"context"
	"errors"

	"resound/channels/cluster"
	"resound/channels/cluster/redis"
	"resound/pusher/webhook"
)

// outbox keeps in Redis the webhooks that the nodes of a cluster have not sent.
type outbox struct{ *redis.Outbox }

// newOutbox returns nil, for queues in memory, unless the cluster is over Redis.
func newOutbox(a cluster.Adapter) webhook.Outbox {
	if r, ok := a.(*redis.Adapter); ok {
		return outbox{r.Outbox(redis.OutboxOptions{})}
	}
	return nil
}

func (o outbox) Open(to webhook.Destination) (webhook.Queue, error) {
	return outboxQueue{o.Outbox.Open(redis.Destination(to))}, nil
}

type outboxQueue struct{ *redis.Queue }

func (q outboxQueue) Put(r webhook.Record) error {
	switch err := q.Queue.Put(redisRecord(r)); {
	case errors.Is(err, redis.ErrQueueFull):
		return webhook.ErrQueueFull
	case errors.Is(err, redis.ErrQueueClosed):
		return webhook.ErrQueueClosed
	default:
		return err
	}
}

func (q outboxQueue) Peek(ctx context.Context, maxEvents, maxBytes int) ([]webhook.Record, error) {
	records, err := q.Queue.Peek(ctx, maxEvents, maxBytes)
	return webhookRecords(records), err
}

func (q outboxQueue) Close() []webhook.Record { return webhookRecords(q.Queue.Close()) }

func redisRecord(r webhook.Record) redis.Record {
	return redis.Record{ID: r.ID, Event: r.Event, At: r.At, Condition: redis.Condition(r.Condition)}
}

func webhookRecords(records []redis.Record) []webhook.Record {
	out := make([]webhook.Record, len(records))
	for i, r := range records {
		out[i] = webhook.Record{ID: r.ID, Event: r.Event, At: r.At, Condition: webhook.Condition(r.Condition)}
	}
	return out
}

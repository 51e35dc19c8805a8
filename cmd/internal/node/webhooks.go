package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"resound/auth"
	"resound/channels/cluster"
	"resound/cmd/internal/config"
	"resound/pusher"
	"resound/pusher/webhook"
)

// webhookDrainTimeout is how long a stopping node tries to send what waits. What
// is left then is kept for the next start.
const webhookDrainTimeout = 5 * time.Second

// webhooks hands what the protocol tells to the dispatcher. The nil value has no
// webhooks.
type webhooks struct {
	dispatcher *webhook.Dispatcher
	outbox     webhook.Outbox // nil: in memory
	node       atomic.Pointer[pusher.Node]
	log        *slog.Logger
}

// newWebhooks returns nil when no app has any.
func newWebhooks(c *config.Config, out webhook.Outbox, log *slog.Logger) (*webhooks, error) {
	apps, err := hookApps(c)
	if err != nil || len(apps) == 0 {
		return nil, err
	}
	if err := checkStore(c.Server.WebhookStore); err != nil {
		return nil, err
	}
	w := &webhooks{outbox: out, log: log}
	o := webhook.Options{DenyPrivateAddresses: c.Server.DenyPrivateWebhooks, Logger: log, Present: w.present, Outbox: out}
	if out != nil {
		o.HoldBack = -1 // the cluster's journal holds back
	}
	path, err := storePath(&c.Server)
	if err != nil {
		log.Warn("webhooks that a stop leaves unsent will be lost", "error", err)
	} else {
		o.Store = &webhook.FileStore{Path: path}
	}
	w.dispatcher, err = webhook.New(o, apps)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// hookApps are the apps that have webhooks.
func hookApps(c *config.Config) ([]webhook.App, error) {
	var apps []webhook.App
	var problems []error
	for i := range c.Apps {
		a := &c.Apps[i]
		if len(a.Webhooks) == 0 {
			continue
		}
		app := webhook.App{ID: a.ID, Key: a.Key, Secret: auth.NewSecret(a.Secret)}
		for j := range a.Webhooks {
			h, err := hookOf(&a.Webhooks[j])
			if err != nil {
				problems = append(problems, fmt.Errorf("apps.apps[%d].webhooks[%d].event_types: %w", i, j, err))
			}
			app.Hooks = append(app.Hooks, h)
		}
		apps = append(apps, app)
	}
	return apps, errors.Join(problems...)
}

func hookOf(c *config.Webhook) (webhook.Hook, error) {
	h := webhook.Hook{URL: c.URL, ChannelPrefix: c.ChannelPrefix, ChannelSuffix: c.ChannelSuffix, Headers: c.Headers}
	for _, name := range c.EventTypes {
		t, err := webhook.ParseEventType(name)
		if err != nil {
			return h, err
		}
		h.EventTypes = append(h.EventTypes, t)
	}
	return h, nil
}

// checkStore refuses a configured store that nothing could be saved to: that would
// show when the node stops, too late.
func checkStore(path string) error {
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("webhooks.store %s: directory %s cannot be written: %w", path, dir, err)
	}
	if i, err := os.Stat(path); err == nil && !i.Mode().IsRegular() {
		return fmt.Errorf("webhooks.store %s is no regular file", path)
	}
	return nil
}

// storePath is where unsent webhooks wait for the next start. Nodes on other
// addresses or ports have files of their own.
func storePath(s *config.Server) (string, error) {
	if s.WebhookStore != "" {
		return s.WebhookStore, nil // checkStore has looked at it
	}
	name := fmt.Sprintf("resound-webhooks-%d.jsonl", s.Port)
	if host := net.ParseIP(s.Host); host == nil || !host.IsUnspecified() {
		name = fmt.Sprintf("resound-webhooks-%s-%d.jsonl", s.Host, s.Port)
	}
	laravel := filepath.Join("storage", "framework")
	if d, err := os.Stat(laravel); err == nil && d.IsDir() {
		return filepath.Join(laravel, name), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "resound")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(dir, name), nil
}

// orNil keeps a nil pointer from becoming an interface that is not nil.
func (w *webhooks) orNil() pusher.Webhooks {
	if w == nil {
		return nil
	}
	return w
}

// attach tells whom to ask who is present. Until then nobody is.
func (w *webhooks) attach(n *pusher.Node) {
	if w != nil {
		w.node.Store(n)
	}
}

// present reports whether a channel is occupied, or a user a member of it.
func (w *webhooks) present(appID, channel, userID string) bool {
	n := w.node.Load()
	if n == nil {
		return false
	}
	a := n.AppByID(appID)
	return a != nil && n.Present(a, channel, userID)
}

// owes reports whether somebody wants to hear of the edges of a channel.
func (w *webhooks) owes(c cluster.Channel) bool {
	return w != nil && !strings.HasPrefix(c.Name, cluster.UserPrefix) && w.dispatcher.WantsEdges(c.App, c.Name)
}

var hookTypes = map[string]webhook.EventType{
	pusher.HookOccupied:          webhook.ChannelOccupied,
	pusher.HookVacated:           webhook.ChannelVacated,
	pusher.HookMemberAdded:       webhook.MemberAdded,
	pusher.HookMemberRemoved:     webhook.MemberRemoved,
	pusher.HookClientEvent:       webhook.ClientEvent,
	pusher.HookCacheMiss:         webhook.CacheMiss,
	pusher.HookSubscriptionCount: webhook.SubscriptionCount,
}

// Publish queues an event. It copies what it keeps.
func (w *webhooks) Publish(a *pusher.App, h pusher.Hook) {
	w.dispatcher.Publish(a.ID, eventOf(h))
}

// eventOf returns the event of a hook, with views where the hook has some.
func eventOf(h pusher.Hook) webhook.Event {
	return webhook.Event{
		ID:       h.ID,
		Teller:   h.Teller,
		Type:     hookTypes[h.Name],
		Channel:  h.Channel,
		UserID:   h.UserID,
		Name:     h.Event,
		SocketID: h.SocketID,
		Data:     unsafe.Slice(unsafe.StringData(h.Data), len(h.Data)),
		Count:    h.Subscriptions,
		Number:   h.Number,
	}
}

// restore takes in what another process kept when it ended.
func (w *webhooks) restore() error {
	if w == nil {
		return nil
	}
	return w.dispatcher.Restore()
}

// close sends what it can and keeps the rest. Call it when no connection is left.
func (w *webhooks) close() {
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), webhookDrainTimeout)
	defer cancel()
	if err := w.dispatcher.Close(ctx); err != nil {
		w.log.Error("webhooks were not sent or kept", "error", err)
	}
}

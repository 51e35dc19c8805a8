package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"resound/channels"
	"resound/cmd/internal/config"
	"resound/cmd/internal/dashboard"
	"resound/cmd/internal/monitor/alert"
	"resound/pusher"
)

var _ dashboard.Node = (*Node)(nil)

// newDashboard makes the dashboard of a node whose port is bound.
func (n *Node) newDashboard() *dashboard.Dashboard {
	return dashboard.New(dashboard.Options{
		Node: n, Access: n.dashboardAccess, Path: n.config.Load().Server.Path, Secure: n.TLS(), Logger: n.log,
	})
}

// dashboardAccess is who may look at the dashboard now.
func (n *Node) dashboardAccess() dashboard.Access {
	c := &n.config.Load().Server
	m := &c.Monitoring
	return dashboard.Access{Enabled: m.Dashboard, Open: m.Environment == "local", Hostname: c.Hostname, Password: m.DashboardPassword}
}

// DashboardURL is where the dashboard is, for a program of this host. Without a
// password, outside of a local environment, it has a token that works once. It is
// empty when there is no dashboard.
func (n *Node) DashboardURL() string {
	switch a := n.dashboardAccess(); {
	case !a.Enabled:
		return ""
	case a.Open || a.Password != "":
		return n.localURL() + "/reverb"
	}
	link, _ := n.DashboardLink() // it is enabled
	return link
}

// DashboardLink implements control.Node.
func (n *Node) DashboardLink() (string, error) {
	if !n.dashboardAccess().Enabled {
		return "", errors.New("the dashboard is switched off (monitoring.dashboard.enabled)")
	}
	path := n.config.Load().Server.Path
	return strings.TrimSuffix(n.localURL(), path) + n.dashboard.Link(), nil
}

// Users implements dashboard.Node.
func (n *Node) Users(id, channel string, most int) (ids []string, total int, err error) {
	a, err := n.app(id)
	if err != nil {
		return nil, 0, err
	}
	if a == nil || !channels.KindOf(channel).Is(channels.Presence) {
		return nil, 0, errors.New("not a presence channel of an app")
	}
	members, _ := a.Directory().Members(channel)
	ids = []string{}
	for _, m := range members[:min(len(members), most)] {
		ids = append(ids, plainID(string(m.IDJSON)))
	}
	return ids, len(members), nil
}

// plainID is the text of a user id, which may be a number.
func plainID(token string) string {
	if text := plain(token); text != "" {
		return text
	}
	return token
}

// Watch implements dashboard.Node.
func (n *Node) Watch(f func(app, channel string)) (stop func(), ok bool) {
	return n.protocol.Watch(func(a *pusher.App, e pusher.Event, _ bool) { f(a.ID, e.Channel) })
}

// Send implements dashboard.Node: an event as the application would trigger it,
// within the limits of its app.
func (n *Node) Send(id, channel, name, data string) error {
	a, err := n.app(id)
	switch {
	case err != nil:
		return err
	case a == nil:
		return errors.New("an event is of one app")
	}
	o := a.Options()
	for _, text := range []struct {
		what, text  string
		least, most int
	}{
		{"channel", channel, 1, o.MaxChannelNameBytes},
		{"name", name, 1, o.MaxEventNameBytes},
		{"data", data, 0, o.MaxEventBytes},
	} {
		switch {
		case len(text.text) < text.least:
			return fmt.Errorf("the %s is empty", text.what)
		case text.most > 0 && len(text.text) > text.most:
			return fmt.Errorf("the %s of %d bytes is longer than %d bytes", text.what, len(text.text), text.most)
		case !utf8.ValidString(text.text):
			return fmt.Errorf("the %s is not valid UTF-8", text.what)
		}
	}
	if o.Disabled {
		return fmt.Errorf("app %s is disabled", a.ID)
	}
	if channels.KindOf(channel).Is(channels.Encrypted) {
		return errors.New("events of encrypted channels can be sent by the application only")
	}
	return n.protocol.Trigger(a, pusher.Event{Channel: channel, Name: token(name), Data: token(data)})
}

// token is the JSON string token of a text.
func token(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text has a token
	}
	return string(out)
}

// Alerts implements dashboard.Node.
func (n *Node) Alerts() []alert.State { return n.alerts.States() }

// setAlerts puts the alerts of a configuration into force.
func (n *Node) setAlerts(c *config.Config) {
	m := &c.Server.Monitoring
	rules := make([]alert.Rule, 0, len(m.Alerts))
	for i := range m.Alerts {
		a := &m.Alerts[i]
		rules = append(rules, alert.Rule{
			Name: a.Name, Metric: a.Metric, Threshold: *a.Threshold, Clear: a.Clear, Below: a.Below, For: a.For, Channels: a.Channels,
		})
	}
	n.alerts.Set(rules, alert.Channels{SlackURL: m.SlackURL, WebhookURL: m.WebhookURL, SMTP: m.SMTP, From: m.MailFrom, To: m.MailTo})
}

// alertName is what messages call the node.
func (n *Node) alertName() string {
	if name := n.config.Load().Server.Hostname; name != "" && n.cluster == nil { // of a cluster it is the name of all
		return name
	}
	return n.address()
}

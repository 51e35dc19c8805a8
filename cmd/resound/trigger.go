package main

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"resound/auth"
	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/cmd/internal/node"
)

const (
	// triggerTimeout bounds the request of the trigger command.
	triggerTimeout = 15 * time.Second

	// maxAnswerBytes is how much of an answer is read.
	maxAnswerBytes = 1 << 20
)

func triggerCommand() *cobra.Command {
	var t target
	var app, base string
	c := &cobra.Command{
		Use:   "trigger CHANNEL EVENT DATA",
		Short: "Send one event through the HTTP API",
		Long: `Send one event through the HTTP API, as the application would: the smoke test of
address, credentials and delivery. Credentials and address are those of the
configuration here; those of a development app are asked of the running server.`,
		Example: `  resound trigger news Greeting '{"text":"hello"}'
  resound trigger private-orders.7 'App\Events\Shipped' '{"id":7}' --app 123456
  resound trigger news Greeting '{}' --url https://ws.example.com`,
		Args: exactly("CHANNEL", "EVENT", "DATA"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), triggerTimeout)
			defer cancel()
			to, err := t.credentials(ctx, c, app, strings.TrimSuffix(base, "/"))
			if err != nil {
				return err
			}
			return trigger(ctx, c.OutOrStdout(), triggerClient(base == ""), to, args[0], args[1], args[2])
		},
	}
	t.bind(c)
	c.Flags().StringVar(&app, "app", "", "id of the app (default: the only one)")
	c.Flags().StringVar(&base, "url", "", "where the server is, with the prefix of its path (default: on this host)")
	return c
}

// credentials returns those of an app, and base unless it is empty: of the
// configuration, or of the running server when there are none or the kernel chose
// the port.
func (t *target) credentials(ctx context.Context, c *cobra.Command, app, base string) (to control.Credentials, err error) {
	defer func() {
		if base != "" {
			to.URL = base
		}
	}()
	flags := t.flags
	if c.Flags().Changed("port") {
		flags.Port = &t.port
	}
	cfg, err := loadConfig(c, flags)
	if err != nil {
		return control.Credentials{}, err
	}
	if !cfg.Development && (cfg.Server.Port != 0 || base != "") {
		return configured(cfg, app)
	}
	client, err := t.connect(c)
	if err != nil {
		return control.Credentials{}, err
	}
	defer client.Close()
	return client.Credentials(ctx, app)
}

func configured(cfg *config.Config, app string) (control.Credentials, error) {
	var ids []string
	for i := range cfg.Apps {
		a := &cfg.Apps[i]
		if a.ID == app || app == "" && len(cfg.Apps) == 1 {
			return control.Credentials{App: a.ID, Key: a.Key, Secret: a.Secret, URL: localURL(&cfg.Server)}, nil
		}
		ids = append(ids, a.ID)
	}
	return control.Credentials{}, usageError{fmt.Errorf("choose an app with --app: %s", strings.Join(ids, ", "))}
}

// localURL is where a server of this host listens.
func localURL(s *config.Server) string {
	host := s.Host
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	scheme := "http://"
	if node.SpeaksTLS(s) {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, strconv.Itoa(s.Port)) + s.Path
}

// triggerClient returns the client for a request. The certificate of a server of
// this host is for another name than the address it is called by here.
func triggerClient(here bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: here},
	}}
}

// trigger sends an event and says how many subscriptions its channel has.
//
// Pusher: POST /apps/{app_id}/events.
func trigger(ctx context.Context, out io.Writer, client *http.Client, to control.Credentials, channel, event, data string) error {
	info := "subscription_count"
	if strings.HasPrefix(channel, "presence-") {
		info = "user_count"
	}
	body, err := json.Marshal(map[string]any{"name": event, "channels": []string{channel}, "data": data, "info": info})
	if err != nil {
		return err
	}
	answer, err := post(ctx, client, to, "/apps/"+url.PathEscape(to.App)+"/events", body)
	if err != nil {
		return err
	}
	var told struct {
		Channels map[string]struct {
			Subscriptions *int `json:"subscription_count"`
			Users         *int `json:"user_count"`
		}
	}
	if err := json.Unmarshal(answer, &told); err != nil {
		return fmt.Errorf("the server answers %.200q, which is not JSON", answer)
	}
	who := ""
	switch c := told.Channels[channel]; {
	case c.Users != nil:
		who = fmt.Sprintf(" (users: %s)", count(*c.Users))
	case c.Subscriptions != nil:
		who = fmt.Sprintf(" (subscriptions: %s)", count(*c.Subscriptions))
	}
	_, err = fmt.Fprintf(out, "  INFO  Sent %s to %s of app %s%s.\n", printable(event), printable(channel), to.App, who)
	return err
}

// post sends a signed request. The path that is signed has no prefix.
func post(ctx context.Context, client *http.Client, to control.Credentials, path string, body []byte) ([]byte, error) {
	digest := md5.Sum(body) // Pusher: body_md5
	sum := hex.EncodeToString(digest[:])
	query := url.Values{
		"auth_key":       {to.Key},
		"auth_timestamp": {strconv.FormatInt(time.Now().Unix(), 10)},
		"auth_version":   {"1.0"},
		"body_md5":       {sum},
	}.Encode()
	var q auth.Query
	if err := q.Parse(query); err != nil {
		return nil, err
	}
	signature := auth.NewSecret(to.Secret).AppendRequest(nil, q.AppendCanonical(nil, http.MethodPost, path, sum))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL+path+"?"+query+"&auth_signature="+string(signature), strings.NewReader(string(body)))
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", to.URL)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the signature in the URL
		}
		return nil, fmt.Errorf("%s: %w", to.URL, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %s", to.URL, response.Status, strings.TrimSpace(printable(string(answer))))
	}
	return answer, nil
}

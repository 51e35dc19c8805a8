package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"
)

// sender sends a message once.
type sender func(ctx context.Context, m *Message, to *Channels) error

var senders = map[string]sender{Slack: sendSlack, Email: sendEmail, Webhook: sendWebhook}

// errFinal says that another try would end like this one.
var errFinal = errors.New("refused")

// maxAnswerBytes is how much of an answer is read.
const maxAnswerBytes = 16 << 10

// client follows no redirect: the URL has a secret, which belongs to its host.
var client = http.Client{
	Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// sendSlack sends to an incoming webhook of Slack.
//
// Slack: "Sending messages using incoming webhooks"; & < > are escaped.
func sendSlack(ctx context.Context, m *Message, to *Channels) error {
	text := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(m.Title() + "\n" + m.Text())
	return post(ctx, to.SlackURL, map[string]string{"text": text})
}

func sendWebhook(ctx context.Context, m *Message, to *Channels) error {
	return post(ctx, to.WebhookURL, m)
}

// post sends JSON. Its errors do not have the URL, which is a secret.
func post(ctx context.Context, to string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: the URL cannot be used", errFinal)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "resound")
	response, err := client.Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswerBytes))
	switch status := response.StatusCode; {
	case status >= 200 && status < 300:
		return nil
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return fmt.Errorf("answered %d", status)
	default:
		return fmt.Errorf("%w: answered %d", errFinal, status)
	}
}

// sendEmail sends over SMTP, encrypted unless the server is of this host.
func sendEmail(ctx context.Context, m *Message, to *Channels) error {
	c, err := mailClient(ctx, to.SMTP)
	if err != nil {
		return fmt.Errorf("%w: %w", errFinal, err)
	}
	message := mail.NewMsg()
	if err := errors.Join(message.From(to.From), message.To(to.To...)); err != nil {
		return fmt.Errorf("%w: %w", errFinal, err)
	}
	message.Subject(m.Title())
	message.SetDateWithValue(m.At)
	message.SetMessageID()
	message.SetBodyString(mail.TypeTextPlain, m.Text()+"\n")
	return c.DialAndSendWithContext(ctx, message)
}

// mailClient returns a client whose connection ends with ctx.
func mailClient(ctx context.Context, server string) (*mail.Client, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, errors.New("the URL of the mail server cannot be used")
	}
	host := u.Hostname()
	dial := (&net.Dialer{}).DialContext
	var options []mail.Option
	auth := mail.SMTPAuthAutoDiscover
	switch ip := net.ParseIP(host); {
	case u.Scheme == "smtps":
		dial = (&tls.Dialer{}).DialContext
		options = append(options, mail.WithSSL(), mail.WithPort(mail.DefaultPortSSL))
	case host == "localhost" || ip != nil && ip.IsLoopback():
		auth = mail.SMTPAuthPlainNoEnc
		options = append(options, mail.WithTLSPolicy(mail.NoTLS), mail.WithPort(mail.DefaultPort))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithPort(mail.DefaultPortTLS))
	}
	if port, err := strconv.Atoi(u.Port()); err == nil {
		options = append(options, mail.WithPort(port))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(u.User.Username()), mail.WithPassword(password))
	}
	options = append(options, mail.WithDialContextFunc(func(within context.Context, network, address string) (net.Conn, error) {
		c, err := dial(within, network, address)
		if err == nil {
			// The library looks at ctx while it connects only.
			context.AfterFunc(ctx, func() { _ = c.Close() })
		}
		return c, err
	}))
	return mail.NewClient(host, options...)
}

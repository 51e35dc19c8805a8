package floor

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"

	"github.com/valyala/fasthttp"
)

// ServeHTTP runs a plain fasthttp server in this process: it writes its port to
// output, answers {} to every request signed with secret and 401 to others, until
// input ends. procs is GOMAXPROCS; zero leaves it.
func ServeHTTP(input io.Reader, output io.Writer, secret string, procs int) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(procs)
	server := &fasthttp.Server{
		Handler:               func(ctx *fasthttp.RequestCtx) { answer(ctx, []byte(secret)) },
		NoDefaultServerHeader: true,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := json.NewEncoder(output).Encode(ready{Port: listener.Addr().(*net.TCPAddr).Port}); err != nil {
		return fmt.Errorf("write port: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, input)
		_ = listener.Close()
	}()
	return <-served
}

func answer(ctx *fasthttp.RequestCtx, secret []byte) {
	if !signed(ctx, secret) {
		ctx.SetStatusCode(fasthttp.StatusUnauthorized)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBodyString("{}")
}

// signed does what every correct server must do to trust a request: parse its
// query, digest its body, sort, join and sign the rest.
//
// Pusher: HTTP API, "Authentication".
func signed(ctx *fasthttp.RequestCtx, secret []byte) bool {
	args := ctx.QueryArgs()
	sum := md5.Sum(ctx.PostBody())
	digest := hex.AppendEncode(nil, sum[:])
	if !bytes.Equal(args.Peek("body_md5"), digest) {
		return false
	}
	type pair struct{ key, value []byte }
	pairs := make([]pair, 0, args.Len())
	for key, value := range args.All() {
		if string(key) != "auth_signature" {
			pairs = append(pairs, pair{bytes.ToLower(key), value})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	text := append(append(append([]byte(nil), ctx.Method()...), '\n'), ctx.Path()...)
	separator := byte('\n')
	for _, p := range pairs {
		text = append(append(append(append(text, separator), p.key...), '='), p.value...)
		separator = '&'
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(text)
	want := hex.AppendEncode(nil, mac.Sum(nil))
	return hmac.Equal(args.Peek("auth_signature"), want)
}

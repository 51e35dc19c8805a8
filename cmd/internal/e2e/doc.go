// Package e2e tests the resound binary from outside: it builds and starts it,
// and speaks to it as its users do.
//
//	Go test --+-- coder/websocket, a signer of its own ----------> resound
//	          +-- node js/client.mjs: laravel-echo, pusher-js, --> (a child
//	          |   pusher (the server library)                       process)
//	          +-- node js/browser.mjs: Chromium with laravel-echo ->
//	          +-- a proxy that does not know WebSocket ------------>
//	          +-- an HTTP server with /broadcasting/auth, for the
//	          |   clients or, as auth.upstream, for the server <----
//	          +-- this test binary again, as a receiver of webhooks <-
//
// It imports nothing of the server, so a mistake that the server's encoder and
// decoder share cannot hide here. It never leaves a process behind: every child
// is killed when its test ends, and by the kernel when the test binary dies.
//
// # What it needs
//
// Go builds the binary. The stock clients need node and npm packages (npm ci in
// js/), the browser test needs Chromium. What is missing fails the test when CI is
// true and skips it otherwise, by name.
//
// With RACE=1 the binary is built with the race detector.
package e2e

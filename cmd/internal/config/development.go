package config

import (
	"crypto/rand"
	"math/big"
	"strconv"
)

// Shape of generated credentials.
//
// Reverb: `reverb:install` makes the same shape.
const (
	firstGeneratedID  = 100_000
	afterGeneratedID  = 1_000_000
	generatedKeyBytes = 20
	generatedLetters  = "abcdefghijklmnopqrstuvwxyz0123456789"
)

// generate gives an app credentials for this run.
func (l *loader) generate(app *App, path string) {
	app.ID, app.Key, app.Secret = NewCredentials()
	for _, name := range credentials {
		l.origins[path+name] = "generated"
	}
}

// NewCredentials returns the id, the key and the secret of a new app.
func NewCredentials() (id, key, secret string) {
	number := firstGeneratedID + randomBelow(afterGeneratedID-firstGeneratedID)
	return strconv.Itoa(number), randomText(), randomText()
}

// randomText returns a text that is fit for a key or a secret.
func randomText() string {
	text := make([]byte, generatedKeyBytes)
	for i := range text {
		text[i] = generatedLetters[randomBelow(len(generatedLetters))]
	}
	return string(text)
}

// randomBelow returns a number in [0, n) that nobody can guess.
func randomBelow(n int) int {
	// The system's source never fails: crypto/rand ends the process instead.
	number, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic("config: " + err.Error())
	}
	return int(number.Int64())
}

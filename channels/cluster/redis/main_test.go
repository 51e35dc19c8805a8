package redis

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(childAddress); address != "" {
		runChild(address)
		return
	}
	goleak.VerifyTestMain(m)
}

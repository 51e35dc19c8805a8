package bench

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"resound/bench/floor"
	"resound/bench/population"
	"resound/bench/process"
	"resound/bench/receiver"
	"resound/bench/wire"
)

// roleVariable makes the test binary play the program: its hidden subcommands, and
// a server that can be spawned.
const roleVariable = "BENCH_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		if err := playRole(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// For the children; the tests themselves no longer look at it.
	if err := os.Setenv(roleVariable, "yes"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// stubConfig returns the URL of the webhook in a configuration file, if any.
func stubConfig(file string) (string, error) {
	if file == "" {
		if os.Getenv("REVERB_APP_KEY") == "" {
			return "", fmt.Errorf("no app in the environment")
		}
		return "", nil
	}
	b, err := os.ReadFile(file)
	_, rest, _ := strings.Cut(string(b), `"url":"`)
	url, _, _ := strings.Cut(rest, `"`)
	return url, err
}

func playRole(subcommand string, args []string) error {
	flags := flag.NewFlagSet(subcommand, flag.ExitOnError)
	var o floor.Options
	flags.IntVar(&o.Threads, "threads", 1, "")
	flags.StringVar(&o.Channel, "channel", "", "")
	flags.IntVar(&o.PayloadBytes, "payload", 0, "")
	flags.BoolVar(&o.Packed, "packed", false, "")
	secret := flags.String("secret", "", "")
	host, port := flags.String("host", "", ""), flags.Int("port", 0, "")
	flags.Int("workers", 0, "")
	config := flags.String("config", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch subcommand {
	case SubcommandClient:
		return population.Serve(os.Stdin, os.Stdout)
	case SubcommandFloor:
		return floor.Serve(os.Stdin, os.Stdout, o)
	case SubcommandFloorHTTP:
		return floor.ServeHTTP(os.Stdin, os.Stdout, *secret, o.Threads)
	case SubcommandReceiver:
		return receiver.Serve(os.Stdin, os.Stdout)
	case "start":
		webhook, err := stubConfig(*config)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp4", net.JoinHostPort(*host, strconv.Itoa(*port)))
		if err != nil {
			return err
		}
		newStub(stubFaults{hook: os.Getenv(hookVariable)}, listener, webhook).serve()
	}
	return fmt.Errorf("unknown subcommand %q", subcommand)
}

// testSettings measure little, of the server at target.
func testSettings(target string) Settings {
	return Settings{
		Target:      target,
		App:         wire.App{ID: "1", Key: "key", Secret: "secret"},
		PIDs:        []int{os.Getpid()},
		Self:        process.Command{Path: os.Args[0], Stderr: os.Stderr},
		FloorKind:   FloorGo,
		Connections: 50,
		Rounds:      2,
		Events:      16,
		Duration:    50 * time.Millisecond,
		Threads:     1,
		Timeout:     time.Minute,
	}
}

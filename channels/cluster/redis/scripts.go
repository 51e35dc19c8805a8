package redis

import (
	"context"
	"crypto/sha1" // the name Redis gives to scripts
	_ "embed"     // the scripts
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

//go:embed slot.lua
var slotSource string

//go:embed clock.lua
var clockSource string

//go:embed common.lua
var commonSource string

//go:embed state.lua
var stateSource string

//go:embed purge.lua
var purgeSource string

//go:embed keep.lua
var keepSource string

//go:embed snapshot.lua
var snapshotSource string

//go:embed query.lua
var querySource string

//go:embed journal.lua
var journalSource string

//go:embed lease.lua
var leaseSource string

//go:embed describe.lua
var describeSource string

//go:embed outbox.lua
var outboxSource string

//go:embed fence.lua
var fenceSource string

var (
	stateScript    = newScript(commonSource + stateSource)
	purgeScript    = newScript(commonSource + purgeSource)
	keepScript     = newScript(commonSource + keepSource)
	snapshotScript = newScript(commonSource + snapshotSource)
	queryScript    = newScript(commonSource + querySource)
	journalScript  = newScript(commonSource + journalSource)
	leaseScript    = newScript(leaseSource)
	outboxScript   = newScript(outboxSource)
	fenceScript    = newScript(fenceSource)
	describeScript = newScript(describeSource)

	allScripts = []*script{stateScript, purgeScript, keepScript, snapshotScript, queryScript, journalScript, leaseScript, outboxScript, fenceScript, describeScript}
)

// script is a Lua script and the name under which Redis keeps it.
type script struct{ source, sha string }

func newScript(source string) *script {
	source = slotSource + clockSource + source
	sum := sha1.Sum([]byte(source))
	return &script{source, hex.EncodeToString(sum[:])}
}

// command calls the script by its name, or with its source when Redis lacks it.
func (p *script) command(c rueidis.CommandClient, key string, args []string, source bool) rueidis.Completed {
	if source {
		return c.B().Eval().Script(p.source).Numkeys(1).Key(key).Arg(args...).Build()
	}
	return c.B().Evalsha().Sha1(p.sha).Numkeys(1).Key(key).Arg(args...).Build()
}

// call is one run of a script. args begin with the publishing command for all
// scripts but leaseScript and describeScript.
type call struct {
	script *script
	key    string
	args   []string
}

// eval runs calls and repeats those that failed until all have an answer or
// Options.Timeout is over. Calls must be such that repeating them is harmless,
// and no two of one bucket may be among them, since they may change places.
// An answer may be the error FENCED.
func (s *session) eval(ctx context.Context, calls []call) ([]rueidis.RedisResult, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	results := make([]rueidis.RedisResult, len(calls))
	source := make([]bool, len(calls))
	left := make([]int, len(calls))
	for i := range left {
		left[i] = i
	}
	for attempt := 0; ; attempt++ {
		commands := make(rueidis.Commands, len(left))
		for j, i := range left {
			commands[j] = calls[i].script.command(s.client, calls[i].key, calls[i].args, source[i])
		}
		var failure error
		again := left[:0]
		for j, result := range s.client.DoMulti(ctx, commands...) {
			i := left[j]
			results[i] = result
			err := result.Error()
			switch {
			case err == nil || isReply(err, "FENCED"):
				continue
			case isReply(err, "NOSCRIPT"):
				source[i] = true
			default:
				failure = err
			}
			again = append(again, i)
		}
		if left = again; len(left) == 0 {
			return results, nil
		}
		if failure != nil && !pause(ctx, attempt) {
			return nil, failure
		}
	}
}

// isReply reports whether err is an error that Redis answered with that code.
func isReply(err error, code string) bool {
	reply, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(reply.Error(), code)
}

// pause waits 10 ms the first time, up to 320 ms later. False means that ctx ended.
func pause(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(spread(10 * time.Millisecond << min(attempt, 5)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// spread returns d plus or minus up to half of it.
func spread(d time.Duration) time.Duration {
	return d/2 + rand.N(d+1)
}

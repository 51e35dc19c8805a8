-- KEYS[1] is the stream of a destination, see outbox.lua. ARGV[1] is an incarnation that
-- is about to be cleaned up: what it had to tell is not added from now on.
local fenced, now = KEYS[1] .. ':f', redis.call('TIME')[1]
local most = 1024
redis.call('ZADD', fenced, now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', fenced, '-inf', now - 604800)
redis.call('ZREMRANGEBYRANK', fenced, 0, -most - 1)
redis.call('EXPIRE', fenced, 604800)
return 0

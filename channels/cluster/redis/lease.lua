-- KEYS[1] is "{prefix:db}". ARGV: what, node, incarnation number, lease and claim
-- in milliseconds, old incarnation (of which not everything was stated again) or '',
-- '1' when this node has stated everything and listens, since when the others are
-- asked the same,
-- number of incarnations that were cleaned up and they, number of those being cleaned up and they, then app, connections in
-- turn. what is 'register', 'renew', 'leave' or, when another
-- is to look for what is left, 'bequeath'. Keys:
--
--   :leases   incarnation -> when its lease ends
--   :claims   incarnation to clean up -> when another node may take it over
--   :owners   node -> its incarnation number
--   :listen   node -> when it last said that it listens
--   :c:NODE   app -> connections on that node, :c the sum of all
--
-- Answers 0 when the lease was lost, else 1, the time, the nodes, those that said
-- since then that they listen, the incarnations to clean up, and app, connections
-- in turn.
local base, what, node, k = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local lease, claim, old = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local leases, claims, owners = base .. ':leases', base .. ':claims', base .. ':owners'
local listen = base .. ':listen'
local inc = node .. ':' .. k
local now = milliseconds()

local function connections(of, app, n)
  local before = tonumber(redis.call('HGET', base .. ':c:' .. of, app) or '0')
  if n == 0 then
    redis.call('HDEL', base .. ':c:' .. of, app)
  else
    redis.call('HSET', base .. ':c:' .. of, app, n)
  end
  if redis.call('HINCRBY', base .. ':c', app, n - before) == 0 then
    redis.call('HDEL', base .. ':c', app)
  end
end

local function gone(of)
  for _, app in ipairs(redis.call('HKEYS', base .. ':c:' .. of)) do
    connections(of, app, 0)
  end
  redis.call('HDEL', owners, of)
  redis.call('ZREM', listen, of)
end

if tonumber(redis.call('HGET', owners, node) or '0') > tonumber(k) then
  return {0} -- a call that was late on a connection given up since
end
if what == 'leave' or what == 'bequeath' then
  redis.call('ZREM', leases, inc)
  gone(node)
  if what == 'bequeath' then redis.call('ZADD', claims, 0, inc) end
  return {1, now, {}, {}, {}, {}}
end

-- A clock that stepped back, as after a failover, must not make leases longer.
for key, most in pairs({[leases] = lease, [claims] = claim}) do
  for _, ahead in ipairs(redis.call('ZRANGEBYSCORE', key, now + 2 * most, '+inf')) do
    redis.call('ZADD', key, now + most, ahead)
  end
end
redis.call('ZREMRANGEBYSCORE', listen, now + 1, '+inf')
local newest = redis.call('ZRANGE', leases, -1, -1, 'WITHSCORES')
if newest[2] and tonumber(newest[2]) <= now then
  -- Nobody was heard: Redis was away or its clock stepped forward, and the others
  -- are coming back.
  for _, other in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    redis.call('ZADD', leases, now + lease, other)
  end
end

if what == 'register' then
  gone(node)
  redis.call('HSET', owners, node, k)
  if old ~= '' and not redis.call('ZSCORE', leases, old) and not redis.call('ZSCORE', claims, old) then
    -- Cleaned up already: once more, for what it said while it was not heard.
    redis.call('ZADD', claims, 0, old)
  end
elseif not redis.call('ZSCORE', leases, inc) then
  return {0}
end
redis.call('ZADD', leases, now + lease, inc)
if old ~= '' then
  -- What an earlier registration of the node said stands until a lease after the
  -- node has said it again.
  for _, mine in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    if string.sub(mine, 1, #node + 1) == node .. ':' then redis.call('ZADD', leases, now + lease, mine) end
  end
end

if ARGV[7] == '1' then redis.call('ZADD', listen, now, node) else redis.call('ZREM', listen, node) end

local i = 9
local last = i + tonumber(ARGV[i])
for j = i + 1, last do redis.call('ZREM', claims, ARGV[j]) end
i = last + 1
last = i + tonumber(ARGV[i])
for j = i + 1, last do redis.call('ZADD', claims, 'XX', now + claim, ARGV[j]) end
for j = last + 1, #ARGV, 2 do connections(node, ARGV[j], tonumber(ARGV[j + 1])) end

for _, ended in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 16)) do
  redis.call('ZREM', leases, ended)
  redis.call('ZADD', claims, 0, ended)
  local of, number = string.match(ended, '^(.*):(%d+)$')
  if redis.call('HGET', owners, of) == number then gone(of) end
end
local mine = redis.call('ZRANGEBYSCORE', claims, '-inf', now, 'LIMIT', 0, 4)
for _, taken in ipairs(mine) do redis.call('ZADD', claims, now + claim, taken) end
local listening = {}
if ARGV[8] ~= '' then listening = redis.call('ZRANGEBYSCORE', listen, ARGV[8], '+inf') end
return {1, now, redis.call('HKEYS', owners), listening, mine, redis.call('HGETALL', base .. ':c')}

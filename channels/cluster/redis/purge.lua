-- ARGV: publish, caller, its incarnation number, call, node, incarnation number,
-- limit, hold-back in milliseconds. Ends up to limit statements of a dead
-- incarnation, which is refused from now on; what it had to tell, the caller has to.
-- Answers whether more is left, whether the caller's journal has grown, then five
-- values for each edge that is in no journal: kind, number, cid, user, member. Kind 0
-- is a channel that others hold: its count is in the place of user.
local caller, own, call, node, k = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local limit, back = tonumber(ARGV[7]), ARGV[8]
local before = answered(caller .. 'p', call)
if before then return before end

local inc, by = node .. ':' .. k, caller .. ':' .. own
local dead = base .. ':d'
if inc ~= by and redis.call('ZSCORE', dead, by) then
  return redis.error_reply('FENCED ' .. by) -- nobody would tell what it has to
end
redis.call('ZADD', dead, redis.call('TIME')[1], inc)
-- A node that starts again and again must not fill every bucket with its names.
redis.call('ZREMRANGEBYRANK', dead, 0, -257)
redis.call('ZREMRANGEBYSCORE', dead, '-inf', redis.call('TIME')[1] - 86400)
redis.call('EXPIRE', dead, 86400)

local answer = {0, 0}
local function add(kind, seq, cid, user, member)
  if kind > 8 then
    answer[2] = 1
  elseif kind ~= 0 then
    for _, value in ipairs({kind, seq, cid, user, member}) do answer[#answer + 1] = value end
  end
end

local function takeOver()
  local w, from, to = base .. ':w', base .. ':w:' .. inc, base .. ':w:' .. by
  local taken = inc ~= by and redis.call('ZRANGE', from, 0, limit - 1, 'WITHSCORES') or {}
  for i = 1, #taken, 2 do
    local seq, edge, kind, cid, user = parts(taken[i])
    redis.call('ZREM', from, taken[i])
    local noted = redis.call('HGET', w, edge) == inc .. ' ' .. seq
    local due, told = taken[i + 1], handedOut(taken[i + 1])
    if told then due = '-inf' end
    local _, app = struct.unpack('>Ic0Ic0', cid)
    -- A leave that may have been told. Whoever has come back since is told to be
    -- there, and that must stay the last word.
    local returned = told and kind % 2 == 0 and
      (kind == 4 and redis.call('HEXISTS', base .. ':m:' .. cid, user) or
      kind == 2 and redis.call('HEXISTS', base .. ':o:' .. app, cid)) == 1
    if returned then
      if noted then redis.call('HDEL', w, edge) end
    else
      if noted then redis.call('HSET', w, edge, by .. ' ' .. seq) end
      redis.call('ZADD', to, due, taken[i])
      answer[2] = 1
    end
  end
  return #taken / 2
end

local function seats(set, journal)
  local ended = redis.call('SPOP', base .. ':i:' .. inc .. set, limit)
  for _, entry in ipairs(ended) do
    local _, _, _, at = struct.unpack('>Ic0Ic0Ic0', entry)
    local cid, user = string.sub(entry, 1, at - 1), string.sub(entry, at)
    local kind, seq, member = unseat(node, k, cid, user)
    if journal then kind = note(by, back, kind, seq, cid, user) end
    add(kind, seq, cid, user, member)
  end
  return #ended
end

local function holds(set, journal)
  local ended = redis.call('SPOP', base .. ':i:' .. inc .. set, limit)
  for _, cid in ipairs(ended) do
    local held = redis.call('HGET', base .. ':h:' .. cid, node)
    if held and string.match(held, '^%d+') == k then
      local kind, seq, total = hold(node, k, cid, 0)
      if kind == 0 then
        for _, value in ipairs({0, number(), cid, tostring(total), ''}) do answer[#answer + 1] = value end
      else
        if journal then kind = note(by, back, kind, seq, cid, '') end
        add(kind, seq, cid, '', '')
      end
    end
  end
  return #ended
end

-- What is owed is told before what ends now, and members leave before their channel
-- is vacated.
local function work()
  limit = limit - takeOver()
  for _, step in ipairs({{seats, ':S'}, {seats, ':s'}, {holds, ':H'}, {holds, ':h'}}) do
    if limit <= 0 then return 1 end
    limit = limit - step[1](step[2], back ~= '' and string.upper(step[2]) == step[2])
  end
  return limit <= 0 and 1 or 0
end
answer[1] = work()
return remember(caller .. 'p', call, answer)

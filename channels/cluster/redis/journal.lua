-- ARGV: ignored, caller, call, limit, incarnation, then entries of its journal that
-- were told. Forgets those and answers in how many milliseconds the next is due, -1
-- for none, and up to limit entries that are due now, oldest first.
local caller, call, limit, inc = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local before = answered(caller .. 'w', call)
if before then return before end

local w = base .. ':w'
local own = w .. ':' .. inc
local function mine(seq, edge) return redis.call('HGET', w, edge) == inc .. ' ' .. seq end

for i = 6, #ARGV do
  local seq, edge = parts(ARGV[i])
  redis.call('ZREM', own, ARGV[i])
  if mine(seq, edge) then redis.call('HDEL', w, edge) end
end

local now, answer = milliseconds(), {-1}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', own, '-inf', now, 'LIMIT', 0, limit)) do
  local seq, edge, kind, cid, user = parts(entry)
  if kind % 2 == 0 and redis.call('HEXISTS', w, string.char(kind - 1) .. cid .. user) == 1 then
    -- Another incarnation has not told yet that it came.
    redis.call('ZADD', own, now + 500, entry)
  else
    if kind % 2 == 0 and mine(seq, edge) then redis.call('HDEL', w, edge) end
    redis.call('ZADD', own, '+inf', entry)
    answer[#answer + 1] = entry
  end
end
local first = redis.call('ZRANGE', own, 0, 0, 'WITHSCORES')
if first[2] and first[2] ~= 'inf' then answer[1] = math.max(0, first[2] - now) end
return remember(caller .. 'w', call, answer)

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
  local opposite = string.char(kind % 2 == 1 and kind + 1 or kind - 1) .. cid .. user
  local before = string.match(redis.call('HGET', w, opposite) or '', '%d+$')
  if before and tonumber(before) < tonumber(seq) then
    redis.call('ZADD', own, now + retry, entry) -- another incarnation has not told it yet
  else
    redis.call('ZADD', own, '+inf', entry)
    answer[#answer + 1] = entry
  end
end
local first = redis.call('ZRANGE', own, 0, 0, 'WITHSCORES')
if first[2] and first[2] ~= 'inf' then answer[1] = math.max(0, (tonumber(first[2]) or 0) - now) end
return remember(caller .. 'w', call, answer)

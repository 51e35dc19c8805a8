-- KEYS[1] is the stream of a destination. ARGV: node, lease in milliseconds,
-- 'own', 'keep' or 'release', entries to read, most entries and bytes, number of
-- the call, number of entries to delete, then id and size of each, then time, event,
-- name (or '') and condition of each entry to add. A condition is one of
--
--   ''                      none
--   newer SUBJECT NUMBER    none of the subject with a higher number was added
--   once SUBJECT MS         none of the subject was added in that time before now
--   by INCARNATION          it was not fenced
--
-- and an entry that does not meet it is left out. Beside the stream there are
--
--   :o         the node that sends, while its lease lasts
--   :b         bytes of the events in the stream
--   :n:NODE    number of the node's last call that added
--   :s0, :s1   condition and subject -> number of the last entry that was added, or when
--              it was, in ms. One of the two is being filled, the other is full or empty
--   :f         incarnations that are fenced -> since when, see fence.lua
--
-- Answers 1 when the node sends, entries and bytes in the stream, how many were
-- refused, the incarnations of ARGV that are fenced, and the oldest entries as id, time,
-- event and name in turn.
local stream, node, lease, what = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local count, most, mostBytes, call = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local bytes = tonumber(redis.call('GET', stream .. ':b') or '0')
local refused = 0
local maxSubjects = 8192 -- in each of :s0 and :s1

local function last(subject)
  local a, b = redis.call('HGET', stream .. ':s0', subject), redis.call('HGET', stream .. ':s1', subject)
  return math.max(tonumber(a or '0'), tonumber(b or '0'))
end

-- note sets last. What is forgotten is older than maxSubjects others.
local filling, other, size
local function note(subject, number)
  if not filling then
    filling, other = stream .. ':s0', stream .. ':s1'
    size = redis.call('HLEN', filling)
    local others = redis.call('HLEN', other)
    if size >= maxSubjects or others > 0 and others < maxSubjects then
      filling, other, size = other, filling, others
    end
  end
  size = size + redis.call('HSET', filling, subject, number)
  if size >= maxSubjects then
    redis.call('DEL', other)
    filling, other, size = other, filling, 0
  end
end

local now -- once it is needed
local fences, fenced = {}, {} -- incarnation -> whether it is, and those that are
local function isFenced(inc)
  if fences[inc] == nil then
    fences[inc] = redis.call('ZSCORE', stream .. ':f', inc) ~= false
    if fences[inc] then fenced[#fenced + 1] = inc end
  end
  return fences[inc]
end

-- condition reads that at i. It returns whether it is met, what to note when the entry
-- is added, if anything, and where the next entry begins.
local function condition(i)
  local kind, number = ARGV[i], ARGV[i + 2]
  if kind == '' then return true, nil, nil, i + 1 end
  if kind == 'by' then return not isFenced(ARGV[i + 1]), nil, nil, i + 2 end
  local subject = kind .. ' ' .. ARGV[i + 1]
  if kind == 'newer' then return tonumber(number) >= last(subject), subject, number, i + 3 end
  now = now or milliseconds()
  local since = now - last(subject)
  -- Below 0 the clock stepped back, as after a failover.
  return since < 0 or since >= tonumber(number), subject, string.format('%.0f', now), i + 3
end

local i = 9
for _ = 1, tonumber(ARGV[8]) do
  if redis.call('XDEL', stream, ARGV[i]) == 1 then bytes = bytes - tonumber(ARGV[i + 1]) end
  i = i + 2
end

if i <= #ARGV then
  -- Of a call that is repeated nothing is added, but its node must hear who is fenced:
  -- the answer before was lost.
  local fresh = tonumber(redis.call('GET', stream .. ':n:' .. node) or '0') < tonumber(call)
  if fresh then redis.call('SET', stream .. ':n:' .. node, call, 'EX', 3600) end
  local entries = redis.call('XLEN', stream)
  while i <= #ARGV do
    local size = #ARGV[i + 1]
    local met, subject, number, after = condition(i + 3)
    if not (fresh and met) then
      -- Left out, or added by the call before.
    elseif entries < most and bytes + size <= mostBytes then
      redis.call('XADD', stream, '*', 't', ARGV[i], 'e', ARGV[i + 1], 'n', ARGV[i + 2])
      entries, bytes = entries + 1, bytes + size
      if subject then note(subject, number) end
    else
      refused = refused + 1
    end
    i = after
  end
  if filling then
    redis.call('EXPIRE', filling, 3600)
    redis.call('EXPIRE', other, 3600)
  end
end

local entries = redis.call('XLEN', stream)
if entries == 0 then
  redis.call('DEL', stream .. ':b')
  bytes = 0
else
  redis.call('SET', stream .. ':b', bytes, 'EX', 3600)
end
-- An empty stream stays: it knows the last id, and no id must come twice.
redis.call('EXPIRE', stream, 3600)

local owner = redis.call('GET', stream .. ':o')
local owned = 0
if what == 'release' then
  if owner == node then redis.call('DEL', stream .. ':o') end
elseif owner == node or what == 'own' and not owner then
  redis.call('SET', stream .. ':o', node, 'PX', lease)
  owned = 1
end
local answer = {owned, entries, bytes, refused, fenced}
if owned == 1 and count > 0 then
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', count)) do
    answer[#answer + 1] = entry[1]
    answer[#answer + 1] = entry[2][2]
    answer[#answer + 1] = entry[2][4]
    answer[#answer + 1] = entry[2][6]
  end
end
return answer

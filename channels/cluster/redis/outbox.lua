-- KEYS[1] is the stream of a destination. ARGV: node, lease in milliseconds,
-- 'own', 'keep' or 'release', entries to read, most entries and bytes, number of
-- the call, number of entries to delete, then id and size of each, then time, event
-- and name (or '') of each entry to add. Beside the stream there are
--
--   :o        the node that sends, while its lease lasts
--   :b        bytes of the events in the stream
--   :n:NODE   number of the node's last call that added
--
-- Answers 1 when the node sends, entries and bytes in the stream, how many were
-- refused, and the oldest entries as id, time, event and name in turn.
local stream, node, lease, what = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local count, most, mostBytes, call = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local bytes = tonumber(redis.call('GET', stream .. ':b') or '0')
local refused = 0

local i = 9
for _ = 1, tonumber(ARGV[8]) do
  if redis.call('XDEL', stream, ARGV[i]) == 1 then bytes = bytes - tonumber(ARGV[i + 1]) end
  i = i + 2
end

if i <= #ARGV and tonumber(redis.call('GET', stream .. ':n:' .. node) or '0') < tonumber(call) then
  redis.call('SET', stream .. ':n:' .. node, call, 'EX', 3600)
  local entries = redis.call('XLEN', stream)
  while i <= #ARGV do
    local size = #ARGV[i + 1]
    if entries < most and bytes + size <= mostBytes then
      redis.call('XADD', stream, '*', 't', ARGV[i], 'e', ARGV[i + 1], 'n', ARGV[i + 2])
      entries, bytes = entries + 1, bytes + size
    else
      refused = refused + 1
    end
    i = i + 3
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
local answer = {owned, entries, bytes, refused}
if owned == 1 and count > 0 then
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', count)) do
    answer[#answer + 1] = entry[1]
    answer[#answer + 1] = entry[2][2]
    answer[#answer + 1] = entry[2][4]
    answer[#answer + 1] = entry[2][6]
  end
end
return answer

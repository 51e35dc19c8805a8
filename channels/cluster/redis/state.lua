-- ARGV: publish, node, incarnation number, call, then statements:
-- 'h' cid subscriptions | 'c' the same, to be counted | 's' cid user member | 'u' cid user.
-- Answers three values a statement: edge kind, number, and the member, or
-- subscriptions with their number, if anything.
local node, k, call = ARGV[2], ARGV[3], ARGV[4]
local inc = node .. ':' .. k
local before = answered(node .. 's', call)
if before then return before end
if redis.call('ZSCORE', base .. ':d', inc) then
  return redis.error_reply('FENCED ' .. inc)
end

local index, answer, i = base .. ':i:' .. inc, {}, 5
while i <= #ARGV do
  local op, cid = ARGV[i], ARGV[i + 1]
  local kind, seq, extra
  if op == 'h' or op == 'c' then
    local n = tonumber(ARGV[i + 2])
    local total
    kind, seq, total = hold(node, k, cid, n)
    extra = op == 'c' and {tostring(total), number()} or ''
    redis.call(n > 0 and 'SADD' or 'SREM', index .. ':h', cid)
    i = i + 3
  elseif op == 's' then
    kind, seq = seat(node, k, cid, ARGV[i + 2], ARGV[i + 3])
    extra = ''
    redis.call('SADD', index .. ':s', cid .. ARGV[i + 2])
    i = i + 4
  else
    kind, seq, extra = unseat(node, '%d+', cid, ARGV[i + 2])
    redis.call('SREM', index .. ':s', cid .. ARGV[i + 2])
    i = i + 3
  end
  answer[#answer + 1] = kind
  answer[#answer + 1] = seq
  answer[#answer + 1] = extra
end
return remember(node .. 's', call, answer)

-- ARGV: publish, node, incarnation number, call, hold-back in milliseconds, then
-- statements: 'h' cid subscriptions | 'c' the same, to be counted | 's' cid user member |
-- 'u' cid user. A capital letter has the edge noted in the journal. Answers three values
-- a statement: edge kind as note returns it, number, and the member, or subscriptions
-- with their number, if anything.
local node, k, call, back = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local inc = node .. ':' .. k
local before = answered(node .. 's', call)
if before then return before end
if redis.call('ZSCORE', base .. ':d', inc) then
  return redis.error_reply('FENCED ' .. inc)
end

local index, answer, i = base .. ':i:' .. inc, {}, 6
while i <= #ARGV do
  local letter, cid, user = ARGV[i], ARGV[i + 1], ''
  local counted = string.lower(letter) == 'c'
  if counted then letter = letter == 'C' and 'H' or 'h' end
  local op, set = string.lower(letter), ':' .. letter
  local kind, seq, extra
  if op == 'h' then
    local n = tonumber(ARGV[i + 2])
    local total
    kind, seq, total = hold(node, k, cid, n)
    extra = counted and {tostring(total), number()} or ''
    if n > 0 then
      redis.call('SADD', index .. set, cid)
    else
      redis.call('SREM', index .. ':h', cid)
      redis.call('SREM', index .. ':H', cid)
    end
    i = i + 3
  elseif op == 's' then
    user = ARGV[i + 2]
    kind, seq = seat(node, k, cid, user, ARGV[i + 3])
    extra = ''
    redis.call('SADD', index .. set, cid .. user)
    i = i + 4
  else
    user = ARGV[i + 2]
    kind, seq, extra = unseat(node, '%d+', cid, user)
    redis.call('SREM', index .. ':s', cid .. user)
    redis.call('SREM', index .. ':S', cid .. user)
    i = i + 3
  end
  if string.upper(set) == set then kind = note(inc, back, kind, seq, cid, user) end
  answer[#answer + 1] = kind
  answer[#answer + 1] = seq
  answer[#answer + 1] = extra
end
return remember(node .. 's', call, answer)

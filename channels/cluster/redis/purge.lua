-- ARGV: publish, caller, call, node, incarnation number, limit. Ends up to limit
-- statements of a dead incarnation, which is refused from now on. Answers whether
-- more is left, then five values an edge: kind, number, cid, user, member. Kind 0 is
-- a channel that others hold: its count is in the place of user.
local caller, call, node, k, limit = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local before = answered(caller .. 'p', call)
if before then return before end

local inc = node .. ':' .. k
redis.call('ZADD', base .. ':d', redis.call('TIME')[1], inc)
redis.call('ZREMRANGEBYSCORE', base .. ':d', '-inf', redis.call('TIME')[1] - 604800)
redis.call('EXPIRE', base .. ':d', 604800)

local seats, holds = base .. ':i:' .. inc .. ':s', base .. ':i:' .. inc .. ':h'
local answer = {0}
local function note(kind, seq, cid, user, member)
  answer[#answer + 1] = kind
  answer[#answer + 1] = seq
  answer[#answer + 1] = cid
  answer[#answer + 1] = user
  answer[#answer + 1] = member
end
-- Members leave before their channel is vacated.
local ended = redis.call('SPOP', seats, limit)
for _, entry in ipairs(ended) do
  local _, _, _, at = struct.unpack('>Ic0Ic0Ic0', entry)
  local cid, user = string.sub(entry, 1, at - 1), string.sub(entry, at)
  local kind, seq, member = unseat(node, k, cid, user)
  if kind ~= 0 then note(kind, seq, cid, user, member) end
end
if #ended < tonumber(limit) then
  for _, cid in ipairs(redis.call('SPOP', holds, limit)) do
    local held = redis.call('HGET', base .. ':h:' .. cid, node)
    if held and string.match(held, '^%d+') == k then
      local kind, seq, total = hold(node, k, cid, 0)
      if kind ~= 0 then note(kind, seq, cid, '', '') else note(0, number(), cid, tostring(total), '') end
    end
  end
end
if redis.call('EXISTS', seats, holds) > 0 then answer[1] = 1 end
return remember(caller .. 'p', call, answer)

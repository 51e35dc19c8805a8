-- ARGV: ignored, most members (or ''), then cids. Answers five values a channel:
-- number, subscriptions, members as user and value in turn, kept publication, how
-- long it is still kept. Of a channel with more members the number is empty, and how many
-- they are is in the place of subscriptions; nothing else is told.
local answer = {}
local seq = redis.call('GET', base .. ':n') or '0'
local most = tonumber(ARGV[2])
for i = 3, #ARGV do
  local cid = ARGV[i]
  local members = most and redis.call('HLEN', base .. ':m:' .. cid) or 0
  if most and members > most then
    for _, value in ipairs({'', members, {}, '', '0'}) do answer[#answer + 1] = value end
  else
    local _, app = struct.unpack('>Ic0Ic0', cid)
    answer[#answer + 1] = seq
    answer[#answer + 1] = redis.call('HGET', base .. ':o:' .. app, cid) or '0'
    answer[#answer + 1] = redis.call('HGETALL', base .. ':m:' .. cid)
    answer[#answer + 1] = redis.call('GET', base .. ':k:' .. cid) or ''
    answer[#answer + 1] = redis.call('PTTL', base .. ':k:' .. cid)
  end
end
return answer

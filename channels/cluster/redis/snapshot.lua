-- ARGV: ignored, then cids. Answers five values a channel: number, subscriptions,
-- members as user and value in turn, kept publication, how long it is still kept.
local answer = {}
local seq = redis.call('GET', base .. ':n') or '0'
for i = 2, #ARGV do
  local cid = ARGV[i]
  local _, app = struct.unpack('>Ic0Ic0', cid)
  answer[#answer + 1] = seq
  answer[#answer + 1] = redis.call('HGET', base .. ':o:' .. app, cid) or '0'
  answer[#answer + 1] = redis.call('HGETALL', base .. ':m:' .. cid)
  answer[#answer + 1] = redis.call('GET', base .. ':k:' .. cid) or ''
  answer[#answer + 1] = redis.call('PTTL', base .. ':k:' .. cid)
end
return answer
